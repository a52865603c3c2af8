//! All breakages of functions in one build, each behind a switch.
//!
//! One build for all of them takes minutes where a build for each takes hours. A function becomes a `match` over the name
//! of the chosen breakage, `LOYALTY_BREAKAGE`, with a whole body for each breakage and the intact one for other names.

use std::collections::BTreeMap;
use std::ops::Range;
use std::path::Path;

use crate::{Breakage, Error, Place, Source, Sources, replace};

/// The broken bodies of a function, by the names of their breakages.
type Bodies = BTreeMap<String, String>;

/// A function's body, and the same with a breakage.
struct Broken<'s> {
    source: &'s Source,
    body: Range<usize>,
    text: String,
}

/// The changed files with their new text.
type Files<'s> = Vec<(&'s Path, String)>;

impl Sources {
    /// Returns the files with all breakages that change only bodies of functions, and the names of these breakages.
    ///
    /// The other breakages are left out: those of constants, types, and functions that cannot hold a switch.
    pub fn plant_switched(
        &self,
        breakages: &BTreeMap<String, Breakage>,
    ) -> Result<(Vec<String>, Files<'_>), Error> {
        let mut names = Vec::new();
        let mut functions = BTreeMap::<_, (&Source, Bodies)>::new();

        for (name, breakage) in breakages {
            let places: Vec<_> = breakage
                .edit
                .iter()
                .map(|edit| self.locate(edit))
                .collect::<Result<_, _>>()?;
            let Some(broken) = broken_bodies(places)? else {
                continue;
            };
            names.push(name.clone());
            for Broken { source, body, text } in broken {
                let key = (&source.path, body.start, body.end);
                let (_, bodies) = functions.entry(key).or_insert_with(|| (source, Bodies::new()));
                bodies.insert(name.clone(), text);
            }
        }

        let mut files = BTreeMap::<&Path, String>::new();
        // From the end, so that the earlier places stay where they are.
        for ((path, start, end), (source, bodies)) in functions.into_iter().rev() {
            let text = files.entry(path).or_insert_with(|| source.text.clone());
            let intact = source.text.get(start..end).unwrap_or_default();
            text.replace_range(start..end, &switch(intact, &bodies));
        }
        Ok((names, files.into_iter().collect()))
    }
}

/// The functions that the places change, each with its body's place and its broken body. None where a place is
/// outside of such a body.
fn broken_bodies(places: Vec<Place<'_>>) -> Result<Option<Vec<Broken<'_>>>, Error> {
    let mut functions = BTreeMap::<_, Vec<Place<'_>>>::new();
    for mut place in places {
        let Some(body) = body_of(&place) else {
            return Ok(None);
        };
        let source = place.source;
        place.range = place.range.start.saturating_sub(body.start)
            ..place.range.end.saturating_sub(body.start);
        functions
            .entry((&source.path, body.start, body.end))
            .or_default()
            .push(place);
    }

    let mut broken = Vec::new();
    for ((_, start, end), mut places) in functions {
        places.sort_by_key(|place| place.range.start);
        let Some(source) = places.first().map(|place| place.source) else {
            continue;
        };
        let intact = source.text.get(start..end).unwrap_or_default();
        let text = replace(intact, &places)?;
        broken.push(Broken { source, body: start..end, text });
    }
    Ok(Some(broken))
}

/// The bytes of the body that contains the place.
fn body_of(place: &Place<'_>) -> Option<Range<usize>> {
    let body = place.item.body.clone()?;
    let tokens = place.source.tokens.get(body)?;
    let bytes = tokens.first()?.range.start..tokens.last()?.range.end;
    let is_within = bytes.start < place.range.start && place.range.end < bytes.end;
    is_within.then_some(bytes)
}

fn switch(intact: &str, bodies: &Bodies) -> String {
    let arm = |(name, body): (&String, &String)| format!("Some({name:?}) => {body}");
    let arms: Vec<_> = bodies.iter().map(arm).collect();
    let arms = arms.join("\n");
    format!(
        "{{\n\
         static BREAKAGE: std::sync::LazyLock<Option<String>> =\n\
             std::sync::LazyLock::new(|| std::env::var(\"LOYALTY_BREAKAGE\").ok());\n\
         match BREAKAGE.as_deref() {{\n{arms}\n_ => {intact}\n}}\n}}"
    )
}
