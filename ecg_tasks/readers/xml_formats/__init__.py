"""Here: what cardiographs and their archives export as XML, a module a maker or standard. Not here: HTML, or XML of no ECG."""
