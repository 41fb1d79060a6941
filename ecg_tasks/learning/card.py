"""Here: the model card, in Markdown, from a version's specification and figures. Not here: computing any of them, or the tables' syntax.

After Mitchell et al., Model cards for model reporting, FAT* 2019 (arXiv 1810.03993).
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from ecg_tasks.evaluation.ages import MIN_BEYOND
from ecg_tasks.evaluation.classes import CLASS_FIGURES
from ecg_tasks.evaluation.intervals import NEAR_THE_EDGE, Interval
from ecg_tasks.evaluation.metrics import MAX_BINS, MIN_BINS, RECORDS_PER_BIN
from ecg_tasks.evaluation.prevalence import PREVALENCES, at_prevalence
from ecg_tasks.evaluation.subgroups import MIN_PATIENTS, MIN_PATIENTS_PER_CLASS, Subgroup, shortfalls
from ecg_tasks.evaluation.summary import FIGURE_TITLES
from ecg_tasks.learning.decisions import MIN_OF_A_CLASS_AT_A_SITE, MIN_PATIENTS_OF_A_SITE
from ecg_tasks.learning.markdown import figure, generic, is_figure, literal, number, share, table, words

MANY_CANDIDATES = 20
"""From this many candidates on, the best of them looks better on a test set than it is."""
INTENDED_USE = (
    "Research use only. This is not a medical device: it must not be used to diagnose, to treat, or to decide on the care of "
    "a person. It sorts recordings for people who look at them afterwards."
)
NAMES_NO_DISEASE = "It knows two classes, normal and abnormal, as its sources label them; it names no disease."
NAMES_CLASSES = (
    "Beside normal and abnormal it reports classes that its sources name. A class is a group of findings in a recording, not a diagnosis"
    " of a person. Its code is the nearest one in the terminology."
)
LIMITS = (
    "Its figures hold for recordings like those it was tested on: device, population, prevalence and lead placement all change them.",
    "The test patients come from the same collections as the training patients: it was not tested on other hospitals.",
    "A recording of poor quality gets no decision. One inside the abstain band is *uncertain*: a person must decide.",
    "Its decisions on patients that it was trained on do not show how good it is.",
)
LIMITS_OF_ADDED = (
    LIMITS[0],
    "Only its author knows how it was trained. If it has seen patients that it was tested on here, its figures are too good.",
    *LIMITS[2:3],
)
SYNTHETIC_NOTICE = "**Trained on synthetic recordings made by a program. Its figures say nothing about people.**"
ADDED_ON_SYNTHETIC = "**Calibrated and tested on synthetic recordings made by a program. Its figures say nothing about people.**"
PUBLISHED = (
    ("single lead, single beats, PTB", "by patient", "accuracy 0.8956 ± 0.0279", "Martin et al. 2021, doi 10.1016/j.bspc.2021.102683"),
    ("12 leads, PTB", "by patient", "accuracy 0.9549", "ML-ResNet, inter-patient"),
    ("beats, PTB", "at random by beat, or not stated: beats of one patient in both splits", "accuracy 0.959 to 0.999", "several"),
)
"""Figures that others report: data, split, figure, source. Their data differ, so the figures cannot be compared directly."""
BASELINES = {
    "beat_length": "Length of a beat alone",
    "simple_features": "Plain measurements, without age",
}
AT_A_GLANCE = ("auroc", "sensitivity", "specificity", "ece", "coverage", "accuracy_decided")
PICTURES = (
    ("roc", "ROC curve"),
    ("precision_recall", "Precision-recall curve"),
    ("reliability", "Reliability: predicted against observed share"),
    ("confusion", "Confusion at the threshold"),
    ("coverage", "Accuracy against the share of records decided"),
)

Plain = Mapping[str, Any]


def model_card(spec: Plain, *, metrics: Plain, splits: Mapping[str, str]) -> str:
    """Write the text of the model card.

    Parameters
    ----------
    spec : the fields of a ``ModelSpec``
    metrics : as in ``metrics.json``; a part that is missing is left out of the card
    splits : record id to split
    """
    parts = (
        _head(spec, metrics),
        _added(spec),
        _decision(spec, metrics),
        _data(spec, metrics, splits),
        _figures(metrics),
        _prevalence(metrics),
        _classes(spec, metrics),
        _calibration(spec, metrics),
        _sites(spec, metrics),
        _unseen_sites(spec, metrics),
        _baselines(metrics),
        _subgroups(metrics),
        _published(),
        _list("Limits", (NAMES_CLASSES if spec.get("classes") else NAMES_NO_DISEASE, *(LIMITS_OF_ADDED if spec.get("added") else LIMITS))),
        _training(spec),
        _provenance(spec, metrics),
        _list("Credits", (map(literal, spec["sources"]) if spec.get("added") else spec["sources"]) or ("No source was stated.",)),
    )
    return "\n".join(line for part in parts for line in part).rstrip("\n") + "\n"


def _head(spec: Plain, metrics: Plain) -> Iterator[str]:
    yield from (f"# Model card: {spec['recipe']}, version {spec['version']}", "")
    if spec["synthetic"]:
        yield from (ADDED_ON_SYNTHETIC if spec.get("added") else SYNTHETIC_NOTICE, "")
    test = metrics.get("test", {})
    if found := [(FIGURE_TITLES[name], figure(test[name])) for name in AT_A_GLANCE if is_figure(test.get(name))]:
        if "n_patients" in test:
            yield from (
                f"On {test['n_records']} records of {test['n_patients']} patients, which were used for nothing else; 95 % intervals:",
                "",
            )
        yield from table(("at a glance", ""), found)
    yield from ("## Intended use", "", INTENDED_USE, "")
    if "ages" not in metrics:
        return
    if ages := metrics["ages"]:
        yield (
            f"Its {ages['n_patients']:,} training patients of known age were {number(ages['low'])} to {number(ages['high'])} years old;"
            f" fewer than {MIN_BEYOND} were younger, and fewer than {MIN_BEYOND} older. It is not meant for younger or older people: their"
            " records have the flag *age outside*."
        )
    else:
        yield "The ages of its training patients are not known, so it is not known for which ages it may be used."
    yield ""


def _added(spec: Plain) -> Iterator[str]:
    if not (added := spec.get("added")):
        return
    stated = added["description"]
    yield from ("## Where it comes from", "")
    yield (
        "**Somebody else trained this network.** The person who added it stated what this section says. Calibration, threshold, band"
        " and every figure on this card were made here, as for networks that were trained here."
    )
    yield ""
    read, said = stated["input"], stated["output"]
    yield f"- Name: {literal(stated['name'])}"
    yield f"- Source: {literal(stated['source'])}"
    yield f"- Licence: {literal(stated['licence'])}"
    if stated["learnt_from"]:
        learnt_from = "; ".join(map(literal, stated["learnt_from"]))
        yield f"- Learnt from: {learnt_from}. If test patients of this bucket are among them, its figures are too good."
    else:
        yield "- **What it learnt from is not stated: it may have seen the patients that it was tested on here.**"
    yield f"- Added as: {added['given_as']}, SHA-256 `{added['sha256']}`; served as `{added['file']}`"
    if read["fs"]:
        leads = ", ".join(read["leads"]) or "the twelve standard leads"
        yield f"- Reads: samples of {leads} at {number(read['fs'])} Hz, in {read['unit']} times {number(read['scale'])}"
    index = (
        f"number {said['abnormal']} stands for abnormal" if said["abnormal"] is not None else f"number {said['normal']} stands for normal"
    )
    named = "".join(f", number {column} for {name}" for name, column in sorted(said["classes"].items(), key=lambda one: one[1]))
    yield f"- Answers: {said['values']}; {index}{named}"
    yield ""


def _decision(spec: Plain, metrics: Plain) -> Iterator[str]:
    height, width, channels = spec["image_shape"]
    lo, hi = spec["abstain"]
    yield from ("## What it is, and how it decides", "")
    yield f"- Network `{spec['network']}`, {spec['n_weights']:,} weights. It reads pictures of {height} × {width} × {channels}."
    yield f"- The pictures are made by the recipe `{spec['recipe']}@{spec['recipe_digest']}`; it reads no others."
    yield (
        f"- A window's score is P({spec['class_order'][1]}). A record's probability is the sigmoid of the mean log-odds of its windows"
        f" with a quality of at least {number(spec['min_quality'])}, divided by the temperature {number(spec['temperature'])}"
        f" plus the bias {number(spec.get('bias', 0.0))}."
    )
    yield f"- Decision: uncertain from {number(lo)} to {number(hi)}; otherwise abnormal from {number(spec['threshold'])} on, normal below."
    if asked := metrics.get("calibration"):
        yield (
            f"- The threshold was chosen to find {share(asked['sensitivity_asked'])} of the abnormal calibration records. The band was"
            f" chosen so that {share(asked['accuracy_asked'])} of the decisions on calibration records are right, or as near to that as"
            f" possible while at least {share(asked['coverage_asked'])} of them are decided."
        )
    yield ""


def _data(spec: Plain, metrics: Plain, splits: Mapping[str, str]) -> Iterator[str]:
    yield from ("## Data and split", "", f"Data set `{spec['dataset_id']}`.", "")
    counts = metrics.get("data", {})
    if counts and all(
        isinstance(split, Mapping) and {"records", "groups", "normal", "abnormal"} <= split.keys() for split in counts.values()
    ):
        rows = []
        for split in ("train", "validation", "calibration", "test"):
            n = counts[split]
            labelled = n["normal"] + n["abnormal"]  # of further records classes alone are known
            prevalence = share(n["abnormal"] / labelled) if labelled else "–"
            rows.append((split, *(f"{n[name]:,}" for name in ("records", "groups", "normal", "abnormal")), prevalence))
        yield from table(("split", "records", "patients", "normal", "abnormal", "prevalence"), rows)
    else:
        yield from table(("split", "records"), [(str(split), str(n)) for split, n in sorted(Counter(map(str, splits.values())).items())])
    if unit := metrics.get("test", {}).get("split_unit"):
        sentence = (
            f"Split by {unit}: the digest of a {unit}'s id gives one of 10,000 buckets, and the bucket gives the split"
            " (60 % train, 10 % validation, 15 % calibration, 15 % test), for ever and on every installation. If a collection has folds,"
            " folds 1 to 8 are never used for tests, and later folds only for tests."
        )
        if unit == "record":
            sentence += " **No patient is known here: records of one person may be in two splits, which makes every figure look too good.**"
        else:
            sentence += " No patient is in two splits. Training fails if one is, or if two splits hold nearly the same recording."
        yield from (sentence, "")
    fitted = "set the temperature, the threshold and the abstain band; test patients are used once."
    if spec.get("added"):
        yield (
            f"The weights come from elsewhere. Calibration patients {fitted} `training_records.csv` lists the records of both, and"
            " `training_patients.csv` the calibration patients, by a digest. The other splits were used only for the simpler methods."
        )
    else:
        yield (
            f"On training and validation patients the weights are fitted and the training is stopped; calibration patients {fitted}"
            " `training_records.csv` lists every record with its split. `training_patients.csv` lists every patient except those of the"
            " test, by a digest."
        )
    yield ""


def _figures(metrics: Plain) -> Iterator[str]:
    yield from ("## Figures on the test patients", "")
    n_evaluated = metrics.get("candidates_judged")
    if n_evaluated is not None:
        counted = "1 candidate has" if n_evaluated == 1 else f"{n_evaluated} candidates have"
        yield f"{counted} been evaluated on these test patients so far, this one included."
        if n_evaluated >= MANY_CANDIDATES:
            yield f"**That is {MANY_CANDIDATES} or more: the best of so many looks better than it is. Test further ones on new patients.**"
        yield ""
    test = metrics.get("test", {})
    if found := {name: value for name, value in test.items() if is_figure(value)}:
        ordered = [name for name in FIGURE_TITLES if name in found] + [name for name in found if name not in FIGURE_TITLES]
        rows = [
            (
                FIGURE_TITLES.get(name, words(name)),
                *figure(found[name]).removesuffix(")").split(" (", 1),
                str(found[name].get("method", "")),
            )
            for name in ordered
        ]
        yield from table(("figure", "value", "95 % interval", "interval by"), rows)
    if "n_resamples" in test:
        yield (
            f"Intervals: {test['n_resamples']:,} bootstrap resamples of patients (seed {test['seed']}); all records of a patient"
            f" are drawn together. Within {NEAR_THE_EDGE} of 0 or 1 the interval is by Wilson's formula, for the AUROC by Newcombe's, with"
            " patients counted. An AUPRC by chance equals the prevalence. ECE: bins of equal mass, one for every"
            f" {RECORDS_PER_BIN} records, {MIN_BINS} to {MAX_BINS} of them."
            " For the figures from sensitivity to accuracy, only the threshold decides, without the abstain band."
        )
        yield ""
        for name, title in PICTURES:
            yield from (f"![{title}]({name}.svg)", "")
    rest = {name: value for name, value in metrics.items() if name not in _SHOWN_ELSEWHERE}
    yield from generic(rest, level=3)


_SHOWN_ELSEWHERE = frozenset(
    (
        "test",
        "data",
        "curves",
        "classes",
        "baselines",
        "baseline_models",
        "subgroups",
        "calibration",
        "candidates_judged",
        "provenance",
        "reference",
        "ages",
        "sites",
        "leave_one_site_out",
    )
)
"""Parts of the metrics that have their own section, or none on the card."""


def _prevalence(metrics: Plain) -> Iterator[str]:
    test = metrics.get("test", {})
    if not (is_figure(test.get("sensitivity")) and is_figure(test.get("specificity"))):
        return
    yield from ("## Where abnormal records are rarer, or more frequent", "")
    measured = [Interval.from_dict(test[name]) for name in ("sensitivity", "specificity")]
    rows = []
    for prevalence in PREVALENCES:
        found = at_prevalence(measured[0], measured[1], prevalence=prevalence)
        rows.append((share(prevalence), *(one.text() for one in (found.called, found.ppv, found.npv))))
    head = ("prevalence", "share called abnormal", FIGURE_TITLES["ppv"].lower(), FIGURE_TITLES["npv"].lower())
    yield from table(head, rows)
    yield (
        "Here only the threshold decides, with the sensitivity and specificity above. Where abnormal recordings are rarer, their findings"
        " are often milder too, and the sensitivity is lower than here. P(abnormal) was calibrated at the prevalence of the calibration"
        " patients: it is too high where the prevalence is lower."
    )
    yield ""


def _classes(spec: Plain, metrics: Plain) -> Iterator[str]:
    found = metrics.get("classes", {})
    if not spec.get("classes") and not found:
        return
    yield from ("## Classes", "")
    if rules := spec.get("classes", ()):
        yield (
            "A class's probability is the sigmoid of the mean log-odds that its own output gives to the windows, divided by its temperature"
            " and raised by its bias. Decision: uncertain in its band; else present from its threshold on, absent below. All of it was"
            " fitted on calibration patients, as for abnormal: those where the class is known."
        )
        yield ""
        head = ("class", "code", "threshold", "uncertain", "temperature", "bias", "calibration records", "of these with it")
        rows = []
        for one in rules:
            n = found.get("calibration", {}).get(one["name"], {})
            code = f"{one['code']} ({one['display']})" if one["code"] else "–"
            lo, hi = one["abstain"]
            fitted = (number(one["threshold"]), f"{number(lo)} to {number(hi)}", number(one["temperature"]), number(one["bias"]))
            rows.append((one["name"], code, *fitted, *(f"{n[name]:,}" if name in n else "–" for name in ("n_records", "n_present"))))
        yield from table(head, rows)
        if systems := sorted({one["system"] for one in rules} - {""}):
            yield from (f"Codes are of {', '.join(f'`{system}`' for system in systems)}.", "")
    if figures := found.get("figures"):
        yield from ("On the test patients; 95 % intervals, as above:", "")
        rows = [
            (name, f"{one['n_records']:,}", f"{one['n_abnormal']:,}", *(figure(one[column]) for column in CLASS_FIGURES))
            for name, one in figures.items()
        ]
        yield from table(("class", "records", "with it", *(FIGURE_TITLES[name] for name in CLASS_FIGURES)), rows)
        yield f"Mean of the AUROCs: {figure(found['macro_auroc'])}. Sensitivity and specificity decide by the threshold alone."
        yield ""
    if left_out := found.get("left_out"):
        known = "is known to the network" if spec.get("added") else "was trained"
        yield from (f"- {name} {known} and is not served: {why}." for name, why in left_out.items())
        yield ""


def _calibration(spec: Plain, metrics: Plain) -> Iterator[str]:
    if not (fitted := metrics.get("calibration")):
        return
    yield from ("## Calibration", "")
    yield (
        f"{fitted['method'].capitalize()}, T = {number(spec['temperature'])}, b = {number(spec.get('bias', 0.0))}, fitted on"
        f" {fitted['n_records']} records of {fitted['n_patients']} patients ({fitted['n_abnormal']} abnormal) of the"
        f" {' and '.join(fitted['sides'])} split."
        " Nothing was fitted on test patients."
    )
    yield ""
    if bins := metrics.get("curves", {}).get("reliability"):
        yield from ("Predicted and observed share of abnormal test records:", "")
        columns = ("n_records", "mean_probability", "share_abnormal", "low", "high")
        rows = [
            (str(n), number(said), number(seen), f"{number(low)} to {number(high)}")
            for n, said, seen, low, high in zip(*(bins[column] for column in columns), strict=True)
        ]
        yield from table(("records", "mean P(abnormal)", "share abnormal", "95 % interval (Wilson)"), rows)


def _sites(spec: Plain, metrics: Plain) -> Iterator[str]:
    if not (found := metrics.get("sites")):
        return
    yield from ("## Sites with a calibration of their own", "")
    rules = {one["site"]: one for one in spec.get("sites", ())}
    rows = []
    for site, one in found.items():
        n = one["calibration"]
        told = (site, f"{n['n_records']:,}", f"{n['n_patients']:,}", f"{n['n_abnormal']:,}")
        if site in rules:
            lo, hi = rules[site]["abstain"]
            limits = (number(rules[site]["threshold"]), f"{number(lo)} to {number(hi)}")
            rows.append((*told, *limits, number(rules[site]["temperature"]), number(rules[site]["bias"])))
        else:
            rows.append((*told, *["held back"] * 4))
    head = ("site", "calibration records", "patients", "of these abnormal", "threshold", "uncertain", "temperature", "bias")
    yield from table(head, rows)
    yield (
        f"A site has a calibration, a threshold and a band of its own if {MIN_PATIENTS_OF_A_SITE} calibration patients come from it, and"
        f" {MIN_OF_A_CLASS_AT_A_SITE} of either class: with fewer, its own would often be worse than the common one. Each is"
        " fitted like the common one, and starts from it. All other figures of this card are by the common rule."
        + ("" if "leave_one_site_out" in metrics else " What a version does at a site that it was not trained on was not measured.")
    )
    yield ""
    if tested := {site: one["test"] for site, one in found.items() if one["test"]}:
        names = ("sensitivity", "specificity", "ece")
        rows = [
            (site, f"{one['n_records']:,}", {"pooled": "of all", "own": "its own"}[rule], *(figure(one[rule][name]) for name in names))
            for site, one in tested.items()
            for rule in ("pooled", "own")
        ]
        yield from ("On the test patients of these sites; 95 % intervals, as above:", "")
        yield from table(("site", "records", "by the rule", *(FIGURE_TITLES[name] for name in names)), rows)


def _unseen_sites(spec: Plain, metrics: Plain) -> Iterator[str]:
    if (found := metrics.get("leave_one_site_out")) is None:
        return
    yield from ("## At a site that it was not trained on", "")
    if measured := found["sites"]:
        rows = []
        for site, one in measured.items():
            n = (f"{one['left_out']['n_patients']:,}", f"{one['n_records']:,}", f"{one['n_patients']:,}", f"{one['n_abnormal']:,}")
            rows.append((site, *n, *(figure(one[name]) for name in ("auroc_with", "auroc_without", "auroc_difference"))))
        head = (
            "site",
            "patients left out",
            "test records",
            "patients",
            "of these abnormal",
            "AUROC with it",
            "AUROC without it",
            "difference",
        )
        yield from table(head, rows)
        n_members = spec["training"].get("n_members", 1)
        which = "The network" if n_members == 1 else f"The first of the {n_members} networks"
        yield (
            f"{which} was trained once more without the patients of each site, with the same parameters, seed and first weights, and"
            " both were tested on the test patients of the site; the difference is a paired bootstrap over them. Without a site there are"
            " also fewer patients to train on, which is a part of the difference. Such a network never serves. Another seed gives another"
            " difference."
        )
        if unknown := found["n_site_unknown"]:
            yield f"The site of {unknown:,} training records is not known: some may come from the site that was left out."
        yield ""
    else:
        yield from ("This was asked for, but could not be measured at any site.", "")
    yield from (f"- {site}: not measured, {why}." for site, why in found["not_measured"].items())
    if found["not_measured"]:
        yield ""


def _baselines(metrics: Plain) -> Iterator[str]:
    if not (found := metrics.get("baselines")):
        return
    yield from ("## Simpler methods on the same test records", "")
    names = ("auroc", "average_precision", "brier", "auroc_difference")
    rows = [("this model", *(figure(metrics["test"][name]) for name in names[:-1]), "")]
    rows += [(BASELINES.get(name, words(name)), *(figure(one[column]) for column in names)) for name, one in found.items()]
    yield from table(("method", "AUROC", "AUPRC", "Brier score", "AUROC of the model less this"), rows)
    yield (
        "Logistic regressions, fitted on the training split only. The last column is a paired bootstrap over patients. Neither they nor the"
        " model use the age: in collections in which healthy people are younger, the age alone predicts much."
    )
    yield ""
    for name, model in metrics.get("baseline_models", {}).items():
        features = ", ".join(f"`{feature}`" for feature in model["features"])
        yield f"- {BASELINES.get(name, words(name))}: {features}, on {model['n_records']:,} records."
    yield ""


def _subgroups(metrics: Plain) -> Iterator[str]:
    if not (groups := metrics.get("subgroups")):
        return
    yield from ("## By sex, age, signal quality, device and site", "")
    columns = ("auroc", "sensitivity", "specificity")
    rows = []
    for group in groups:
        n = (f"{words(group['attribute'])}: {group['value']}", f"{group['n_records']}", f"{group['n_patients']}", f"{group['n_abnormal']}")
        shown = [figure(group["figures"][name]) if name in group["figures"] else "held back" for name in columns]
        rows.append((*n, *shown))
    yield from table(("group", "records", "patients", "abnormal", "AUROC", "sensitivity", "specificity"), rows)
    yield (
        f"Figures of a group with fewer than {MIN_PATIENTS} patients, or fewer than {MIN_PATIENTS_PER_CLASS} of either class, are not"
        " shown. Intervals of small groups that overlap do not show a difference, and do not show that there is none."
    )
    yield ""
    whole = {name: Interval.from_dict(value) for name, value in metrics.get("test", {}).items() if is_figure(value)}
    yield from ("### Where it fails", "")
    if not (found := shortfalls(whole, [Subgroup.from_dict(group) for group in groups])):
        yield from ("No group has a lower AUROC or sensitivity than all test records together.", "")
        return
    rows = [
        (f"{one.attribute}: {one.value}", FIGURE_TITLES[one.figure], one.found.text(), f"{one.whole:.3f}", "clear" * one.clear)
        for one in found
    ]
    yield from table(("group", "figure", "there", "of all", ""), rows)
    yield (
        "Groups with a lower AUROC or sensitivity than all test records, the largest difference first. *clear*: the whole interval of the"
        " group is below the figure of all; of groups without any difference, one in forty is so by chance."
    )
    yield ""


def _published() -> Iterator[str]:
    yield from ("## What others report", "")
    yield from table(("data", "split", "figure", "source"), PUBLISHED)
    yield (
        "These come from other data, classes and test sets, so they cannot be compared directly."
        " Only a split by patient shows how a model does on new people."
    )
    yield ""


def _training(spec: Plain) -> Iterator[str]:
    if spec.get("added"):
        yield from ("## How the version was made", "")
    else:
        yield from ("## Training", "", f"Seed {spec['seed']}.", "")
    training = dict(spec["training"])
    epochs = training.pop("epochs", ())
    yield from generic(training, level=3)
    if epochs:
        last = {epoch.get("member", epoch["epoch"]): epoch for epoch in epochs}
        yield from ("### epochs", "")
        if "member" in epochs[0]:
            yield from ("The last epoch of each network; all epochs are in `model.json`.", "")
        columns = sorted(epochs[0], key=lambda name: (name != "member", name != "epoch"))
        yield from table([words(name) for name in columns], [[number(epoch[name]) for name in columns] for epoch in last.values()])
    yield from ("### environment", "")
    yield from generic(spec["environment"], level=4)


def _provenance(spec: Plain, metrics: Plain) -> Iterator[str]:
    yield from ("## From the signals to this card", "")
    if chain := metrics.get("provenance"):
        dataset, recipe = f"datasets/{spec['dataset_id']}", f"{spec['recipe']}@{spec['recipe_digest']}"
        yield (
            f"1. A record's id is the SHA-256 of its samples, rate and leads. `{dataset}/split.parquet` lists every record with its split"
            f" and label: SHA-256 `{chain['split_sha256']}`."
        )
        yield f"2. `{dataset}/manifest.json` counts them: SHA-256 `{chain['manifest_sha256']}`."
        yield f"3. The dataset's name `{spec['dataset_id']}` is made of the recipe `{recipe}` and that list."
        made_of = "its file and what is stated of it" if spec.get("added") else "the network and the training's parameters"
        yield f"4. The version's name `{spec['version']}` is made of the dataset, the recipe, {made_of}."
        yield "5. `SHA256SUMS` names every file of this version, this card among them (`sha256sum -c SHA256SUMS`)."
    else:
        yield f"Version `{spec['version']}` of dataset `{spec['dataset_id']}`; `SHA256SUMS` names every file of it."
    yield from ("", "`./ecg evaluate DIR` gives the figures above again, from the recordings.", "")


def _list(title: str, points: Any) -> Iterator[str]:
    yield from (f"## {title}", "")
    yield from (f"- {point}" for point in points)
    yield ""
