//! Many records in one body. All of them are read, and all faults are reported together.

use std::collections::HashSet;

use schemars::JsonSchema;
use serde::Deserialize;
use serde_json::value::RawValue;

use super::json::{self, BodyErrorCode};
use super::schema;
use super::value::prefix_pointer;
use crate::problem::{Fault, Problem};

/// The most records of a request.
pub(crate) const MAX_RECORDS: usize = 250;

/// The numbers of records that were new, changed and unchanged.
#[derive(JsonSchema)]
#[expect(dead_code, reason = "its derived schema is used alone, for the store's `UpsertCounts`")]
pub(crate) struct Tally {
    created: schema::Count,
    updated: schema::Count,
    unchanged: schema::Count,
}

/// Reads the records of the member `name`, each like a body of its own. Their ids must differ: of
/// two records with the same id, one would be lost.
pub(crate) fn parse_records<'a, B: Deserialize<'a>, T>(
    name: &'static str,
    bodies: &[&'a RawValue],
    parse: impl Fn(B) -> Result<T, Problem>,
    id: (&'static str, fn(&T) -> String),
) -> Result<Vec<T>, Problem> {
    if !(1..=MAX_RECORDS).contains(&bodies.len()) {
        let detail = format!("1 to {MAX_RECORDS} can be sent at once.");
        return Err(Problem::unprocessable(BodyErrorCode::OutOfRange.as_str(), detail)
            .with_param(format!("/{name}")));
    }
    let (id_name, id) = id;
    let (mut records, mut faults, mut seen) =
        (Vec::with_capacity(bodies.len()), Vec::new(), HashSet::new());
    for (index, body) in bodies.iter().enumerate() {
        let read = json::parse(body.get().as_bytes())
            .and_then(&parse)
            .and_then(|record| {
                if seen.insert(id(&record)) {
                    return Ok(record);
                }
                let detail = format!("This `{id_name}` stands here twice.");
                Err(Problem::unprocessable("duplicate_id", detail)
                    .with_param(format!("/{id_name}")))
            });
        match read.map_err(|problem| prefix_pointer(&format!("/{name}/{index}"), problem)) {
            Ok(record) => records.push(record),
            Err(problem) => faults.push(Fault {
                pointer: problem.param().unwrap_or_default().to_owned(),
                code: problem.code(),
                detail: problem.detail().to_owned().into(),
            }),
        }
    }
    if faults.is_empty() { Ok(records) } else { Err(invalid_records(faults)) }
}

fn invalid_records(faults: Vec<Fault>) -> Problem {
    let detail = match faults.len() {
        1 => "One of them has a fault; nothing was changed.".to_owned(),
        count => format!("{count} of them have a fault; nothing was changed."),
    };
    let first = faults.first().map(|fault| fault.pointer.clone()).unwrap_or_default();
    Problem::unprocessable("invalid_records", detail)
        .with_param(first)
        .with_faults(faults)
}
