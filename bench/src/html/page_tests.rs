//! Every page is read as a browser reads it: well formed, nothing from elsewhere, every chart with
//! a title, labelled axes and units, the figures that matter in large type.

use super::page::Page;
use super::{of_demo, of_latency, of_latency_sweep, of_overhead, of_overhead_sweep, of_ratios};
use crate::demo::kill_run::{KillReport, Seen};
use crate::demo::protocol::{Finished, Recovered};
use crate::machine::Machine;
use crate::open_loop::{Overhead, WorkArguments, run_overhead};
use crate::overhead::Measurement;
use crate::pairs::PairPlan;
use crate::progress::ProgressSample;
use crate::ratios::Ratio;
use crate::reference::ComparisonReport;
use crate::result::{OverheadResult, Pair};
use crate::scratch::Scratch;
use crate::sweep::Load;
use html5ever::TokenizerResult;
use html5ever::tendril::StrTendril;
use html5ever::tokenizer::states::RawKind;
use html5ever::tokenizer::{
    BufferQueue, Tag, TagKind, Token, TokenSink, TokenSinkResult, Tokenizer, TokenizerOpts,
};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

/// HTML elements without an end.
const VOID: [&str; 3] = ["meta", "br", "link"];
const UNITS: [&str; 9] = ["ns", "\u{b5}s", "ms", " s", "B", "%", "/s", "events", "M"];

/// One element with its own text and all text below it.
#[derive(Debug, Default)]
struct Element {
    name: String,
    attributes: BTreeMap<String, String>,
    parent: Option<usize>,
    text: String,
}

#[derive(Default)]
struct Reader {
    elements: RefCell<Vec<Element>>,
    open: RefCell<Vec<usize>>,
    problems: RefCell<Vec<String>>,
}

impl Reader {
    fn start(&self, tag: &Tag) -> TokenSinkResult<()> {
        let attributes = tag.attrs.iter();
        let attributes = attributes.map(|one| (one.name.local.to_string(), one.value.to_string()));
        let mut elements = self.elements.borrow_mut();
        let name = tag.name.to_string();
        elements.push(Element {
            name: name.clone(),
            attributes: attributes.collect(),
            parent: self.open.borrow().last().copied(),
            text: String::new(),
        });
        if !VOID.contains(&&name[..]) {
            self.open.borrow_mut().push(elements.len() - 1);
        }
        match &name[..] {
            "script" => TokenSinkResult::RawData(RawKind::ScriptData),
            "style" => TokenSinkResult::RawData(RawKind::Rawtext),
            "title" => TokenSinkResult::RawData(RawKind::Rcdata),
            _ => TokenSinkResult::Continue,
        }
    }

    fn end(&self, tag: &Tag) {
        let last = self.open.borrow_mut().pop();
        let opened = last.map(|last| self.elements.borrow()[last].name.clone());
        if opened.as_deref() != Some(&tag.name) {
            let problem = format!("</{}> ends {opened:?}", tag.name);
            self.problems.borrow_mut().push(problem);
        }
    }
}

impl TokenSink for Reader {
    type Handle = ();

    fn process_token(&self, token: Token, _line: u64) -> TokenSinkResult<()> {
        match token {
            Token::TagToken(tag) if tag.kind == TagKind::StartTag => return self.start(&tag),
            Token::TagToken(tag) => self.end(&tag),
            Token::CharacterTokens(text) => {
                for at in self.open.borrow().iter() {
                    self.elements.borrow_mut()[*at].text.push_str(&text);
                }
            }
            Token::ParseError(error) => self.problems.borrow_mut().push(error.into_owned()),
            _ => {}
        }
        TokenSinkResult::Continue
    }
}

fn read(html: &str) -> Vec<Element> {
    let input = BufferQueue::default();
    input.push_back(StrTendril::from(html));
    let tokenizer = Tokenizer::new(Reader::default(), TokenizerOpts::default());
    while !matches!(tokenizer.feed(&input), TokenizerResult::Done) {}
    tokenizer.end();
    assert_eq!(*tokenizer.sink.problems.borrow(), Vec::<String>::new());
    assert!(
        tokenizer.sink.open.borrow().is_empty(),
        "every element ends"
    );
    tokenizer.sink.elements.take()
}

/// A short run of the engine, so that there are real phases to draw.
fn measured() -> &'static Overhead {
    static MEASURED: OnceLock<Overhead> = OnceLock::new();
    MEASURED.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let scratch = Scratch::new(folder.path(), "job").unwrap();
        let work = WorkArguments::small("50ms");
        let mut options = work.options(50_000.0, 1);
        options.warm_up = Duration::from_millis(50);
        options.duration = Duration::from_millis(300);
        let interval = Duration::from_millis(50);
        options = options.checkpoints(interval, scratch.folder()).unwrap();
        let plan = PairPlan::brief(2);
        run_overhead(&options, plan, work.flow()).unwrap()
    })
}

fn kill_report() -> KillReport {
    let at = Duration::from_millis;
    let seen = (0..120_u64).map(|step| Seen {
        at: at(step * 50),
        sample: ProgressSample {
            bytes_done: (step - if step > 60 { 4 } else { 0 }) * 9_000_000,
            records_per_second: 25e6,
            checkpoint_number: step.checked_sub(3).map(|number| number / 2),
            checkpoint_age: at(30),
            checkpoint_bytes: 2 << 20,
        },
    });
    KillReport {
        seen: seen.collect(),
        killed_at: at(3_000),
        recovered_at: at(3_080),
        killed_at_bytes: 540_000_000,
        recovered: Recovered {
            checkpoint_number: 29,
            recovery_ms: 63.7,
            restored_bytes: 530_000_000,
        },
        finished: Finished {
            checkpoint_count: 60,
            elapsed_seconds: 6.0,
        },
    }
}

fn measurement() -> Measurement {
    let (on, off) = (&measured().on, &measured().off);
    let pairs = vec![
        Pair {
            off: 28e6,
            on: 27e6,
        },
        Pair {
            off: 28e6,
            on: 26e6,
        },
    ];
    Measurement {
        result: OverheadResult::new(pairs, BTreeMap::new()).unwrap(),
        checkpoint_count: 125,
        measured: Duration::from_secs(12),
        costs: on.costs.clone(),
        off_costs: off.costs.clone(),
        traces: on.traces.clone(),
        parts: [on.parts.clone(), off.parts.clone()],
    }
}

fn ratios() -> Vec<Ratio> {
    let of = |id, value| Ratio::of_value(id, value, "events/s", "one shard, 10 M keys".to_owned());
    let g1 = Ratio {
        min: Some(0.64),
        max: Some(1.4),
        a: Some(11.5e6),
        b: Some(15.2e6),
        ..of("G1", 0.76)
    };
    let rest = [
        ("G2", 0.19),
        ("G5", 1.56),
        ("G6", 1.09),
        ("G9", 1.16),
        ("G13", 0.012),
        ("G16", 0.0),
    ];
    let rest = rest.map(|(id, value)| of(id, value));
    [g1].into_iter()
        .chain(rest)
        .chain([Ratio::none("G14", "needs 2 GiB")])
        .collect()
}

/// The same at two rates.
fn loads<T: Clone>(found: &T) -> Vec<Load<T>> {
    let load = |percent| Load {
        percent,
        found: found.clone(),
    };
    [10, 90].map(load).to_vec()
}

/// All pages by name.
pub(super) fn pages() -> Vec<(&'static str, Page)> {
    let overhead = measured();
    let work = "1,000 keys, uniform, 56-byte values";
    let comparison = ComparisonReport {
        row_count: 928_992,
        key_count: 87_670,
        ..ComparisonReport::default()
    };
    let measurement = measurement();
    vec![
        ("latency", of_latency(&overhead.on, work, 1)),
        (
            "latency-sweep",
            of_latency_sweep(&loads(&overhead.on), work, 1),
        ),
        ("overhead", of_overhead(overhead, work, 1)),
        (
            "overhead-sweep",
            of_overhead_sweep(&loads(overhead), work, 1),
        ),
        (
            "demo",
            of_demo(
                &kill_report(),
                &comparison,
                Some(&measurement),
                2,
                "plain threads",
            ),
        ),
        (
            "ratios",
            of_ratios(&ratios(), &[("G7".to_owned(), overhead.clone())]),
        ),
    ]
}

pub(super) fn text_of(page: &Page) -> String {
    page.markup(&Machine::read(Path::new("."))).into_string()
}

fn is_below(elements: &[Element], mut at: usize, above: usize) -> bool {
    while let Some(parent) = elements[at].parent {
        if parent == above {
            return true;
        }
        at = parent;
    }
    false
}

fn below<'a>(elements: &'a [Element], above: usize, name: &'a str) -> Vec<usize> {
    let all = 0..elements.len();
    all.filter(|at| elements[*at].name == name && is_below(elements, *at, above))
        .collect()
}

fn check_chart(elements: &[Element], figure: usize, name: &str) {
    let title = below(elements, figure, "h2")[0];
    assert!(!elements[title].text.is_empty(), "{name}");
    let svgs = below(elements, figure, "svg");
    assert_eq!(
        svgs.len(),
        2,
        "{name}: one for wide pages and one for phones"
    );
    for svg in svgs {
        let holder = &elements[elements[svg].parent.unwrap()];
        assert_eq!(
            holder.attributes["aria-labelledby"],
            elements[title].attributes["id"]
        );
        let texts = below(elements, svg, "text");
        for axis in ["x", "y"] {
            let is_label = |at: &&usize| {
                elements[**at]
                    .attributes
                    .get("data-axis")
                    .is_some_and(|found| found == axis)
            };
            let label = texts
                .iter()
                .find(is_label)
                .unwrap_or_else(|| panic!("{name}: no {axis}"));
            assert!(!elements[*label].text.is_empty(), "{name}: {axis}");
        }
        let has_unit = |at: &usize| UNITS.iter().any(|unit| elements[*at].text.contains(unit));
        assert!(texts.iter().any(has_unit), "{name}: no unit");
        assert!(
            !below(elements, svg, "title").is_empty(),
            "{name}: no values to point at"
        );
    }
}

#[test]
fn pages_are_well_formed_and_every_chart_explains_itself() {
    for (name, page) in pages() {
        let elements = read(&text_of(&page));
        let figures: Vec<_> = (0..elements.len())
            .filter(|at| elements[*at].name == "figure")
            .collect();
        assert!(figures.len() >= 4, "{name}: {} charts", figures.len());
        for figure in figures {
            check_chart(&elements, figure, name);
        }
        let mut ids: Vec<_> = elements
            .iter()
            .filter_map(|one| one.attributes.get("id"))
            .collect();
        let count = ids.len();
        ids.sort_unstable();
        ids.dedup();
        assert_eq!(ids.len(), count, "{name}: an id is there twice");
        for element in &elements {
            for value in element.attributes.values() {
                assert!(
                    !value.contains("NaN") && !value.contains("inf"),
                    "{name}: {value}"
                );
            }
        }
    }
}

#[test]
fn pages_refer_to_nothing_outside() {
    const LOADING: [&str; 4] = ["src", "href", "xlink:href", "srcset"];
    const WORDS: [&str; 6] = ["url(", "@import", "fetch(", "import(", "http:", "https:"];
    for (name, page) in pages() {
        for element in read(&text_of(&page)) {
            for attribute in LOADING {
                assert!(
                    !element.attributes.contains_key(attribute),
                    "{name}: {element:?}"
                );
            }
            if ["style", "script"].contains(&&element.name[..]) {
                for word in WORDS {
                    assert!(!element.text.contains(word), "{name}: {word}");
                }
            }
        }
    }
}

#[test]
fn figures_that_matter_are_on_the_page() {
    let all = pages();
    let text = |wanted: &str| {
        let (_, page) = all.iter().find(|(name, _)| *name == wanted).unwrap();
        let body = read(&text_of(page))
            .into_iter()
            .find(|one| one.name == "body");
        body.unwrap().text
    };
    let overhead = measured();
    let median = crate::ratios::short(overhead.latency.ratio().median);
    assert!(text("overhead").contains(&median), "{median}");
    for part in ["63.7 ms", "928,992 rows", "yes", "0.95"] {
        assert!(text("demo").contains(part), "{part}");
    }
    for part in [
        "G1",
        "0.76",
        "0.64 to 1.40",
        "missed",
        "needs 2 GiB",
        "G7: Latency",
    ] {
        assert!(text("ratios").contains(part), "{part}");
    }
    for part in ["frazil-bench", "shard 0, pinned", "p99 latency", "Kernel"] {
        assert!(text("latency").contains(part), "{part}");
    }
}
