//! The pages in a real browser, where there is one: a Chromium on the path (Debian: `chromium` or
//! `chromium-headless-shell`). One that `FRAZIL_BROWSER` names has to be there.

use super::page_tests::{pages, text_of};
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{env, io};

const VARIABLE: &str = "FRAZIL_BROWSER";
const NAMES: [&str; 5] = [
    "chromium-headless-shell",
    "headless_shell",
    "chromium",
    "chromium-browser",
    "google-chrome",
];

/// Page, width of the window, and whether it is dark: each chart at both widths, each colour in
/// both schemes.
const VISITS: [(&str, u32, bool); 7] = [
    ("latency", 1200, true),
    ("latency-sweep", 390, false),
    ("overhead", 390, false),
    ("overhead-sweep", 1200, true),
    ("demo", 1200, false),
    ("demo", 390, true),
    ("ratios", 390, true),
];

/// The browser itself finds no host either.
const QUIET: [&str; 6] = [
    "--host-resolver-rules=MAP * ~NOTFOUND",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-quic",
    "--disable-sync",
];

/// Looks at what is drawn, and leaves what is wrong in the title of the document.
const PROBE: &str = include_str!("probe.html");

fn browser() -> Option<PathBuf> {
    if let Some(named) = env::var_os(VARIABLE) {
        return Some(named.into());
    }
    let path = env::var_os("PATH")?;
    let folders: Vec<_> = env::split_paths(&path).collect();
    let mut all = NAMES
        .iter()
        .flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
    all.find(|program| program.is_file())
}

struct Visit {
    title: String,
    log: String,
}

fn visit(browser: &Path, folder: &Path, page: &Path, width: u32, is_dark: bool) -> Visit {
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"])
        .args(QUIET)
        .args(["--enable-logging=stderr", "--virtual-time-budget=2000"])
        .arg(format!("--window-size={width},1200"))
        .arg(format!(
            "--blink-settings=preferredColorScheme={}",
            u8::from(!is_dark)
        ))
        .arg(format!(
            "--user-data-dir={}",
            folder.join("profile").display()
        ))
        .arg(format!("file://{}", page.display()))
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("{}: {error}", browser.display()));
    let dom = String::from_utf8_lossy(&output.stdout).into_owned();
    let title = dom
        .split_once("<title>")
        .and_then(|(_, rest)| rest.split_once("</title>"));
    Visit {
        title: title.map(|(title, _)| title.to_owned()).unwrap_or_default(),
        log: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

#[test]
fn pages_are_drawn_without_errors_or_requests_light_and_dark_wide_and_narrow() {
    let Some(browser) = browser() else {
        let text = format!(
            "NOT RUN: the report in a browser. There is none on the path; name one with \
             {VARIABLE}, or `apt-get install chromium`.\n"
        );
        // Past the capture of the test harness, which hides what passing tests print.
        drop(io::stderr().write_all(text.as_bytes()));
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    let pages = pages();
    for (name, page) in &pages {
        let path = folder.path().join(format!("{name}.html"));
        fs::write(&path, text_of(page).replace("</body>", PROBE)).unwrap();
    }
    let mut all_found = Vec::new();
    for (name, width, is_dark) in VISITS {
        let (_, page) = pages.iter().find(|(found, _)| *found == name).unwrap();
        let path = folder.path().join(format!("{name}.html"));
        let visit = visit(&browser, folder.path(), &path, width, is_dark);
        let place = format!("{name}, {width} wide");
        let probed = visit.title.strip_prefix("probed ");
        let probed = probed.unwrap_or_else(|| panic!("{place}: {}", visit.log));
        let [charts, figures, found] = probed.splitn(3, '|').collect::<Vec<_>>()[..] else {
            panic!("{place}: {probed}");
        };
        let expected: Vec<_> = page.tiles.iter().map(|tile| &tile.value[..]).collect();
        assert_eq!(figures.split(';').collect::<Vec<_>>(), expected, "{place}");
        assert!(
            charts.parse::<u32>().unwrap() >= 4,
            "{place}: {charts} charts"
        );
        all_found.extend((!found.is_empty()).then(|| format!("{place}: {found}")));
        assert!(!visit.log.contains("CONSOLE"), "{place}: {}", visit.log);
    }
    assert_eq!(all_found, Vec::<String>::new());
    let path = folder.path().join("asking.html");
    let asking = "<img src='http://elsewhere.example/a.png'></main>";
    let asking = text_of(&pages[0].1).replace("</main>", asking);
    fs::write(&path, asking).unwrap();
    let log = visit(&browser, folder.path(), &path, 1200, false).log;
    assert!(
        log.contains("CONSOLE") && log.contains("elsewhere.example"),
        "a request is noticed, and refused by the page itself: {log}"
    );
}
