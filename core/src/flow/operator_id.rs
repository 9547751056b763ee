//! What tells an operator from all others, from one run of a flow to the next.

use std::collections::HashSet;

use frazil_state::hash_bytes;

/// Longer ones are cut to a hash and their end: streams that part and meet again would double the
/// text each time.
const PLACE_BYTES_MAX: usize = 120;

/// Where an operator stands in the flow, as declared.
pub(super) struct OperatorPlace {
    /// The user's id for it.
    pub(super) name: Option<String>,
    /// Operators that it gets its records from, of smaller numbers.
    pub(super) inputs: Vec<u32>,
    /// Stage that it runs in; none for what came to nothing.
    pub(super) stage: Option<u32>,
}

/// What tells an operator from all others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct OperatorId {
    /// The user's id for it, else its place.
    pub(crate) id: String,
    pub(crate) is_named: bool,
    /// The methods that lead to it, whatever ids there are on the way.
    pub(crate) place: String,
    pub(crate) inputs: Vec<u32>,
    pub(crate) stage: Option<u32>,
}

/// The ids of all operators. Equal places are numbered in call order.
pub(super) fn identify(verbs: &[&str], places: &[OperatorPlace]) -> Vec<OperatorId> {
    let mut ids: Vec<OperatorId> = Vec::with_capacity(verbs.len());
    let mut taken = HashSet::new();
    for (verb, declared) in verbs.iter().zip(places) {
        let inputs = declared.inputs.iter();
        let before: Vec<_> = inputs
            .map(|input| ids[*input as usize].place.as_str())
            .collect();
        let path = match &before[..] {
            [] => (*verb).to_owned(),
            [one] => format!("{one} > {verb}"),
            several => format!("({}) > {verb}", several.join(" + ")),
        };
        let path = shortened(path);
        let mut place = path.clone();
        let mut count = 1;
        while !taken.insert(place.clone()) {
            count += 1;
            place = format!("{path} #{count}");
        }
        ids.push(OperatorId {
            id: declared.name.clone().unwrap_or_else(|| place.clone()),
            is_named: declared.name.is_some(),
            place,
            inputs: declared.inputs.clone(),
            stage: declared.stage,
        });
    }
    ids
}

fn shortened(path: String) -> String {
    if path.len() <= PLACE_BYTES_MAX {
        return path;
    }
    let end = path.rsplit(" > ").next().unwrap_or_default();
    format!("...{:016x} > {end}", hash_bytes(path.as_bytes()).0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn place(name: Option<&str>, inputs: &[u32]) -> OperatorPlace {
        OperatorPlace {
            name: name.map(str::to_owned),
            inputs: inputs.to_vec(),
            stage: None,
        }
    }

    #[test]
    fn place_is_the_way_from_the_sources_whatever_ids_are_on_it() {
        let verbs = ["source", "map", "source", "union", "map"];
        let places = [
            place(None, &[]),
            place(Some("mine"), &[0]),
            place(None, &[]),
            place(None, &[1, 2]),
            place(None, &[3]),
        ];
        let ids = identify(&verbs, &places);
        let found: Vec<_> = ids.iter().map(|it| it.id.as_str()).collect();
        let union = "(source > map + source #2) > union";
        let last = format!("{union} > map");
        assert_eq!(found, ["source", "mine", "source #2", union, &last]);
        assert_eq!(ids[1].place, "source > map");
    }

    #[test]
    fn place_behind_many_joins_stays_short_and_its_own() {
        let mut verbs = vec!["source"];
        let mut places = vec![place(None, &[])];
        for _ in 0..40 {
            let before = u32::try_from(verbs.len() - 1).expect("small");
            verbs.extend(["fan_out", "union"]);
            places.push(place(None, &[before]));
            places.push(place(None, &[before, before + 1]));
        }
        let ids = identify(&verbs, &places);
        assert!(ids.iter().all(|it| it.id.len() <= 2 * PLACE_BYTES_MAX));
        let distinct: HashSet<_> = ids.iter().map(|it| &it.id).collect();
        assert_eq!(distinct.len(), ids.len());
    }
}
