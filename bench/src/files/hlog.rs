//! Tagged interval logs `.hlog`, V2 with deflate: histograms over time, one line each.

use crate::measure_error::MeasureError;
use hdrhistogram::Histogram;
use hdrhistogram::serialization::V2DeflateSerializer;
use hdrhistogram::serialization::interval_log::{IntervalLogWriterBuilder, Tag};
use std::time::{Duration, SystemTime};

/// Values in ns are shown in ms in the column of maxima, as the usual tools do.
const NS_PER_MS: f64 = 1e6;

/// One interval's histogram under a tag.
#[derive(Clone, Debug)]
pub struct Interval<'a> {
    /// What was measured, without blanks and commas.
    pub tag: &'a str,
    /// From the start of the log.
    pub begin: Duration,
    /// How long it lasted.
    pub length: Duration,
    /// The samples, in ns.
    pub histogram: &'a Histogram<u64>,
}

/// The text of a log that began at `start`.
///
/// ```
/// use std::time::{Duration, SystemTime};
/// use frazil_bench::files::hlog::{Interval, text};
///
/// let mut histogram = hdrhistogram::Histogram::new(3)?;
/// histogram.record(800)?;
/// let interval = Interval {
///     tag: "steady",
///     begin: Duration::ZERO,
///     length: Duration::from_secs(1),
///     histogram: &histogram,
/// };
/// let log = text(SystemTime::UNIX_EPOCH, &[interval])?;
/// assert!(String::from_utf8(log)?.contains("Tag=steady,0.000,1.000,"));
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
///
/// # Errors
///
/// [`MeasureError::Histogram`] for a tag with a blank or comma, or a histogram that has no
/// encoding.
pub fn text(start: SystemTime, intervals: &[Interval<'_>]) -> Result<Vec<u8>, MeasureError> {
    let failed = |reason: String| MeasureError::Histogram { reason };
    let mut log = Vec::new();
    let mut serializer = V2DeflateSerializer::new();
    let mut writer = IntervalLogWriterBuilder::new()
        .add_comment("[Histogram log format version 1.3]")
        .with_start_time(start)
        .with_base_time(start)
        .with_max_value_divisor(NS_PER_MS)
        .begin_log_with(&mut log, &mut serializer)?;
    for interval in intervals {
        let tag = Tag::new(interval.tag)
            .ok_or_else(|| failed(format!("tag {:?} has a blank or comma", interval.tag)))?;
        writer
            .write_histogram(
                interval.histogram,
                interval.begin,
                interval.length,
                Some(tag),
            )
            .map_err(|error| failed(error.to_string()))?;
    }
    Ok(log)
}

#[cfg(test)]
mod tests {
    use super::*;
    use hdrhistogram::serialization::Deserializer;
    use hdrhistogram::serialization::interval_log::{IntervalLogIterator, LogEntry};

    /// The digits of base64 without a crate for it.
    fn decoded(text: &str) -> Vec<u8> {
        let digits = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
        let values = text
            .bytes()
            .filter(|byte| *byte != b'=')
            .map(|byte| digits.iter().position(|digit| *digit == byte).unwrap());
        let mut bits = 0;
        let mut buffer = 0_usize;
        let mut bytes = Vec::new();
        for value in values {
            buffer = (buffer << 6 | value) & 0xffff;
            bits += 6;
            if bits >= 8 {
                bits -= 8;
                bytes.push(u8::try_from(buffer >> bits & 0xff).unwrap());
            }
        }
        bytes
    }

    #[test]
    fn log_reads_back_with_tags_times_and_samples() {
        let mut histogram = Histogram::new(3).unwrap();
        for value in 1..10_000 {
            histogram.record(value * 17).unwrap();
        }
        let interval = |tag, begin| Interval {
            tag,
            begin: Duration::from_secs(begin),
            length: Duration::from_secs(1),
            histogram: &histogram,
        };
        let log = text(
            SystemTime::now(),
            &[interval("steady", 0), interval("sync", 1)],
        )
        .unwrap();
        let entries = IntervalLogIterator::new(&log).map(Result::unwrap);
        let intervals: Vec<_> = entries
            .filter_map(|entry| match entry {
                LogEntry::Interval(interval) => Some(interval),
                _ => None,
            })
            .collect();
        assert_eq!(intervals.len(), 2);
        let tags: Vec<_> = intervals.iter().map(|read| read.tag().unwrap()).collect();
        assert_eq!([tags[0].as_str(), tags[1].as_str()], ["steady", "sync"]);
        assert_eq!(intervals[1].start_timestamp(), Duration::from_secs(1));
        let bytes = decoded(intervals[0].encoded_histogram());
        let read: Histogram<u64> = Deserializer::new().deserialize(&mut &bytes[..]).unwrap();
        assert_eq!(read, histogram);
    }

    #[test]
    fn tag_with_a_comma_is_refused() {
        let histogram = Histogram::new(3).unwrap();
        let bad = Interval {
            tag: "a,b",
            begin: Duration::ZERO,
            length: Duration::ZERO,
            histogram: &histogram,
        };
        assert!(matches!(
            text(SystemTime::now(), &[bad]),
            Err(MeasureError::Histogram { .. })
        ));
    }
}
