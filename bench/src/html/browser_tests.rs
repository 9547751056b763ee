//! The pages in a real browser, where there is one: named by `FRAZIL_BROWSER`, or a headless
//! Chromium on the path (Debian: `chromium-headless-shell`).

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
const VISITS: [(&str, u32, bool); 5] = [
    ("latency", 1200, true),
    ("overhead", 390, false),
    ("demo", 1200, false),
    ("demo", 390, true),
    ("ratios", 390, true),
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
    requests: String,
}

fn visit(browser: &Path, folder: &Path, page: &Path, width: u32, is_dark: bool) -> Visit {
    let net_log = folder.join("net.json");
    let output = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"])
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
        .arg(format!("--log-net-log={}", net_log.display()))
        .arg(format!("file://{}", page.display()))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let dom = String::from_utf8_lossy(&output.stdout).into_owned();
    let title = dom
        .split_once("<title>")
        .and_then(|(_, rest)| rest.split_once("</title>"));
    Visit {
        title: title.map(|(title, _)| title.to_owned()).unwrap_or_default(),
        log: String::from_utf8_lossy(&output.stderr).into_owned(),
        requests: fs::read_to_string(net_log).unwrap_or_default(),
    }
}

#[test]
fn pages_are_drawn_without_errors_or_requests_light_and_dark_wide_and_narrow() {
    let Some(browser) = browser() else {
        let text = format!(
            "NOT RUN: the report in a browser. There is none on the path; name one with \
             {VARIABLE}, or `apt-get install chromium-headless-shell`.\n"
        );
        // Past the capture of the test harness, which hides what passing tests print.
        drop(io::stderr().write_all(text.as_bytes()));
        return;
    };
    let folder = tempfile::tempdir().unwrap();
    for (name, page) in pages() {
        let path = folder.path().join(format!("{name}.html"));
        fs::write(&path, text_of(&page).replace("</body>", PROBE)).unwrap();
    }
    for (name, width, is_dark) in VISITS {
        let path = folder.path().join(format!("{name}.html"));
        let visit = visit(&browser, folder.path(), &path, width, is_dark);
        let place = format!("{name}, {width} wide");
        let probed = visit.title.strip_prefix("probed ");
        let probed = probed.unwrap_or_else(|| panic!("{place}: {}", visit.log));
        let (charts, found) = probed.split_once(';').unwrap();
        assert!(
            charts.parse::<u32>().unwrap() >= 4,
            "{place}: {charts} charts"
        );
        assert_eq!(found, "", "{place}");
        assert!(!visit.log.contains("CONSOLE"), "{place}: {}", visit.log);
        for scheme in ["\"url\":\"http:", "\"url\":\"https:", "\"url\":\"ws"] {
            assert!(
                !visit.requests.contains(scheme),
                "{place}: a request was made"
            );
        }
    }
}
