"""Sources of the methods that the page names."""

__all__ = ["REFERENCES"]

REFERENCES = (
    ("Welch (1947). Biometrika 34, 28-35.", "https://doi.org/10.1093/biomet/34.1-2.28"),
    ("Fieller (1954). J. R. Stat. Soc. B 16, 175-185.", "https://doi.org/10.1111/j.2517-6161.1954.tb00159.x"),
    ("Schuirmann (1987). J. Pharmacokinet. Biopharm. 15, 657-680.", "https://doi.org/10.1007/BF01068419"),
    ("White (1997), MSER. Simulation 69, 323-334.", "https://doi.org/10.1177/003754979706900601"),
    (
        "Benjamini, Hochberg (1995). J. R. Stat. Soc. B 57, 289-300.",
        "https://doi.org/10.1111/j.2517-6161.1995.tb02031.x",
    ),
    ("Schuemie et al. (2018), negative controls. PNAS 115, 2571-2577.", "https://doi.org/10.1073/pnas.1708282114"),
    ("Simonsohn et al. (2020), specification curve. Nat. Hum. Behav. 4.", "https://doi.org/10.1038/s41562-020-0912-z"),
    ("Shen, van Beek, Iosup (2015), the GWA-T-12 traces. CCGrid.", "https://doi.org/10.1109/CCGrid.2015.60"),
)
"""Reference and link."""
