"""Here: whether a bucket elsewhere keeps what is written once, and a sentence for what it lacks. Not here: our own store, which does."""

from ecg_tasks.archive import keys
from ecg_tasks.archive.object_store import ObjectStore


def lacks(store: ObjectStore) -> list[str]:
    """Return a sentence for each thing that the bucket's server does not do, or does not tell.

    Raises
    ------
    StoreError
        If the bucket cannot be written to.
    """
    found = []
    if not store.refuses_overwrites(f"{keys.STAGING}check/written_once"):
        found.append(
            "the bucket's server does not refuse to write over an object (If-None-Match): what is written once is not protected against "
            "a second program that writes it"
        )
    state = store.versioning()
    if state != "Enabled":
        what = "does not tell whether it keeps versions" if state is None else "keeps no versions"
        found.append(
            f"the bucket {store.bucket} {what}: what somebody with its key overwrites or deletes cannot be taken back. Turn versioning on, "
            "with a rule that ends old versions after 30 days, below inbox/, quarantine/ and staging/ after one (docs/operations.md)"
        )
    return found
