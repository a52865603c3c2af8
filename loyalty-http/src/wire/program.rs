//! Programs on the wire. The core reads the document itself.

use std::collections::BTreeSet;

use loyalty_core::{
    Attributes, Explanation, Points, Program, ProgramVersion, Statement, Tag, TierId,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use serde_json::value::RawValue;

use super::explanation::ExplanationResponse;
use super::json;
use super::order::OrderBody;
use super::schema::{self, program};
use super::value::ParsedField;
use crate::problem::{Fault, Problem};

/// Reads a program: a problem (400) for invalid JSON, otherwise the program or all its faults.
pub(crate) fn parse_body(body: &[u8]) -> Result<Result<Program, Vec<Fault>>, Problem> {
    json::parse::<Value>(body)?;
    let not_unicode = |_| {
        Problem::bad_request(json::BodyErrorCode::MalformedJson.as_str(), "The body is not UTF-8.")
    };
    Ok(parse_document(str::from_utf8(body).map_err(not_unicode)?, ""))
}

/// Reads a document at a pointer of the body.
fn parse_document(text: &str, pointer: &str) -> Result<Program, Vec<Fault>> {
    Program::from_json(text).map_err(|found| to_faults(found, pointer))
}

/// The faults of a document at a pointer of the body.
pub(crate) fn to_faults(
    found: impl IntoIterator<Item = loyalty_core::Fault>,
    pointer: &str,
) -> Vec<Fault> {
    let fault = |fault: loyalty_core::Fault| Fault {
        pointer: format!("{pointer}{}", fault.pointer),
        code: fault.code,
        detail: fault.detail.into(),
    };
    found.into_iter().map(fault).collect()
}

/// 422 with all faults.
pub(crate) fn invalid_program(faults: Vec<Fault>) -> Problem {
    let detail = match faults.len() {
        1 => "The program has a fault.".to_owned(),
        count => format!("The program has {count} faults."),
    };
    let first = faults.first().map(|fault| fault.pointer.clone()).unwrap_or_default();
    Problem::unprocessable("invalid_program", detail)
        .with_param(first)
        .with_faults(faults)
}

/// A published version.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PublishedVersion")]
pub(crate) struct VersionResponse {
    #[schemars(with = "u32", range(min = 1))]
    pub(crate) version: ProgramVersion,
    /// What connected stores cannot hold of the rewards: such codes are not published there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1))]
    pub(crate) warnings: Vec<Fault>,
}

/// The validity of a program.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "Validation")]
pub(crate) struct ValidationResponse {
    /// True where the program can be published.
    pub(crate) valid: bool,
    pub(crate) faults: Vec<Fault>,
    /// What connected stores cannot hold of the rewards: such codes are not published there.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(min = 1))]
    pub(crate) warnings: Vec<Fault>,
}

/// An order whose points are calculated without recording it.
#[derive(Debug, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "DryRunRequest")]
pub(crate) struct DryRunBody<'a> {
    /// The program; by default the one in force.
    #[serde(borrow)]
    #[schemars(with = "Option<program::Definition>")]
    program: Option<&'a RawValue>,
    order: OrderBody,
    /// The tags of the customer.
    customer_tags: Option<Vec<ParsedField<Tag>>>,
    /// The attributes of the customer.
    #[schemars(with = "Option<schema::Attributes>")]
    customer_attributes: Option<Attributes>,
    /// The tier of the customer.
    tier: Option<ParsedField<TierId>>,
}

/// A dry run, ready to be calculated.
#[derive(Debug)]
pub(crate) struct DryRun {
    /// The program; `None` for the one in force.
    pub(crate) program: Option<Program>,
    pub(crate) order: OrderBody,
    pub(crate) tags: BTreeSet<Tag>,
    pub(crate) attributes: Attributes,
    pub(crate) tier: Option<TierId>,
}

impl DryRunBody<'_> {
    /// Reads the program, or returns a problem with all its faults.
    pub(crate) fn parse(self) -> Result<DryRun, Problem> {
        let program = self.program.map(|raw| parse_document(raw.get(), "/program"));
        Ok(DryRun {
            program: program.transpose().map_err(invalid_program)?,
            order: self.order,
            tags: self
                .customer_tags
                .unwrap_or_default()
                .into_iter()
                .map(|tag| tag.0)
                .collect(),
            attributes: self.customer_attributes.unwrap_or_default(),
            tier: self.tier.map(|tier| tier.0),
        })
    }
}

/// The points that an order would earn.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "DryRunResult")]
pub(crate) struct DryRunResponse<'a> {
    #[schemars(with = "schema::Points")]
    points: Points,
    explanation: ExplanationResponse<'a>,
    text: String,
    /// What the text says, in no language.
    #[schemars(with = "Vec<schema::statement::Statement>", length(min = 1))]
    statements: Vec<Statement>,
}

impl<'a> DryRunResponse<'a> {
    /// The result of an explanation. Only a `published` program has a version.
    pub(crate) fn new(explanation: &'a Explanation, published: bool) -> Self {
        let answer = ExplanationResponse::new(explanation);
        let (points, text) = (explanation.points, explanation.to_string());
        Self {
            points,
            explanation: if published { answer } else { answer.without_version() },
            text,
            statements: explanation.statements(),
        }
    }
}
