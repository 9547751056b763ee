//! Huge pages for everything that this process allocates, as Frazil advises them for its state:
//! else a bare map would be measured on small pages and lose by that.

use std::env;
use std::fs;
use std::io;
use std::os::unix::process::CommandExt;
use std::process::Command;

const VARIABLE: &str = "GLIBC_TUNABLES";
/// Advises huge pages for each large allocation.
const TUNABLE: &str = "glibc.malloc.hugetlb=1";

/// Whether plain allocations get huge pages in this process.
#[must_use]
pub fn are_for_all() -> bool {
    let set = env::var(VARIABLE).is_ok_and(|value| value.contains(TUNABLE));
    match policy() {
        Policy::Always => true,
        Policy::Advised => set,
        Policy::Never => false,
    }
}

/// Starts this program anew with huge pages for plain allocations, where the system gives them to
/// those who ask and this process did not. Returns if there is nothing to do, or with what kept the
/// program from starting.
///
/// # Errors
///
/// What the system said to the new start; measuring may go on without.
pub fn restart_with_huge_pages() -> io::Result<()> {
    if policy() != Policy::Advised || are_for_all() {
        return Ok(());
    }
    let value = match env::var(VARIABLE) {
        Ok(others) if !others.is_empty() => format!("{others}:{TUNABLE}"),
        _ => TUNABLE.to_owned(),
    };
    let mut anew = Command::new(env::current_exe()?);
    anew.args(env::args_os().skip(1)).env(VARIABLE, value);
    Err(anew.exec())
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Policy {
    Always,
    Advised,
    Never,
}

fn policy() -> Policy {
    let path = "/sys/kernel/mm/transparent_hugepage/enabled";
    parse(&fs::read_to_string(path).unwrap_or_default())
}

/// The chosen word is in brackets.
fn parse(text: &str) -> Policy {
    if text.contains("[always]") {
        Policy::Always
    } else if text.contains("[madvise]") {
        Policy::Advised
    } else {
        Policy::Never
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chosen_policy_is_the_one_in_brackets() {
        assert_eq!(parse("always [madvise] never\n"), Policy::Advised);
        assert_eq!(parse("[always] madvise never\n"), Policy::Always);
        assert_eq!(parse("always madvise [never]\n"), Policy::Never);
        assert_eq!(parse(""), Policy::Never);
    }
}
