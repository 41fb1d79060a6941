// A table of 10,000 rows is not laid out before the script at the page's end has cut it into pages; shown in any case once the page has loaded.
document.documentElement.classList.add("loading");
addEventListener("load", () => document.documentElement.classList.remove("loading"));
