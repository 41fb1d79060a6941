"""Here: what shows the stack's metrics: Prometheus' settings, Grafana's dashboard, and a receiver that lists what arrives."""
