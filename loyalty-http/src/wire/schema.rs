//! The JSON Schemas of the wire's plain values.
//!
//! A wire structure derives its schema from its fields. A field of a core type, or of a Rust type
//! that says too little, names its schema here: `#[schemars(with = "schema::Points")]`.

pub(crate) mod program;
pub(crate) mod statement;

use std::borrow::Cow;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};
use serde_json::{Map, Value, json};

/// The place of the schemas in the document.
pub(crate) const DEFINITIONS: &str = "#/components/schemas/";

/// Set on a schema whose optional members can be null. The document does not have it.
pub(crate) const NULLABLE_MEMBERS: &str = "x-nullable-members";

macro_rules! values {
    ($($(#[doc = $doc:literal])* $name:ident $schema:tt;)*) => {$(
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug)]
        pub(crate) struct $name;

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                let mut schema = json_schema!($schema);
                let description = concat!($($doc, "\n",)*).trim();
                if !description.is_empty() {
                    schema.insert("description".to_owned(), description.into());
                }
                schema
            }
        }
    )*};
}

values! {
    /// Any text of 1 to 255 bytes without control characters.
    Id {
        "type": "string",
        "minLength": 1,
        "maxLength": 255,
        "pattern": r"^[^\u0000-\u001f\u007f-\u009f]+$"
    };
    /// An id, or a number that is one.
    AnyId {
        "anyOf": [
            { "$ref": reference("Id") },
            { "type": "integer", "minimum": 0, "maximum": u64::MAX }
        ]
    };
    /// An id assigned by the server: digits.
    Numeral { "type": "string", "pattern": "^[0-9]+$" };
    /// An id as Shopify's clients take them.
    Number { "type": "integer", "minimum": 1, "maximum": MAX_SAFE_INTEGER };
    /// Whole points. A balance below zero is a debt.
    Points { "type": "integer", "minimum": -MAX_SAFE_INTEGER, "maximum": MAX_SAFE_INTEGER };
    /// At least one point.
    SomePoints { "type": "integer", "minimum": 1, "maximum": MAX_SAFE_INTEGER };
    /// No points, or some.
    BalancePoints { "type": "integer", "minimum": 0, "maximum": MAX_SAFE_INTEGER };
    /// A number of things.
    Count { "type": "integer", "minimum": 0 };
    /// Money as a decimal in a string: at most 100000000000, with four decimals.
    Amount {
        "type": "string",
        "pattern": r"^([-+]?0{1,12}(\.0{1,6})?|\+?(0?[0-9]{1,11}(\.[0-9]{1,4}0{0,2})?|100000000000(\.0{1,6})?))$"
    };
    /// Money as a number, where a client reads nothing else.
    NumericAmount { "type": "number", "minimum": 0 };
    /// A number as a decimal in a string.
    Decimal { "type": "string", "pattern": r"^-?[0-9]+(\.[0-9]+)?$" };
    /// A decimal in a string, or a JSON number, which is read from its digits.
    Money {
        "anyOf": [
            { "type": "string", "pattern": r"^[-+]?[0-9]{1,12}(\.[0-9]{1,6})?$" },
            { "type": "number" }
        ]
    };
    /// A decimal in a string, or a whole number.
    Figure {
        "anyOf": [
            { "type": "string", "pattern": r"^[-+]?[0-9]+(\.[0-9]+)?$" },
            { "type": "integer", "minimum": 0 }
        ]
    };
    /// A whole number up to 1000000000.
    Number32 { "type": "integer", "minimum": 0, "maximum": 1_000_000_000 };
    /// An exact number: a decimal, or a fraction such as 100/3 where the decimal would not end.
    Exact { "type": "string", "pattern": r"^-?[0-9]+(\.[0-9]+|/[0-9]+)?$" };
    /// A quantity: a whole number, or a decimal in a string for goods by weight.
    Units {
        "anyOf": [
            { "type": "integer", "minimum": 0, "maximum": 1_000_000 },
            {
                "type": "string",
                "pattern": r"^([-+]?0{1,12}(\.0{1,6})?|\+?0{0,5}([0-9]{1,6}|[0-9]{1,6}\.[0-9]{1,3}0{0,3}|1000000(\.0{1,6})?))$"
            }
        ]
    };
    /// An instant from 1970 to 9999 (RFC 3339).
    Time { "type": "string", "format": "date-time" };
    /// An instant from 1970 to 9999 (RFC 3339), or a day.
    ListTime {
        "anyOf": [{ "$ref": reference("Time") }, { "$ref": reference("Date") }]
    };
    /// A day of the calendar.
    Date { "type": "string", "format": "date", "pattern": "^[0-9]{4}-[0-9]{2}-[0-9]{2}$" };
    /// A month of the calendar.
    Month { "type": "string", "pattern": "^[0-9]{4}-[0-9]{2}$" };
    /// Free facts for conditions of a program, by name: texts, numbers and booleans, 20 at most.
    /// Those of orders and lines are kept for ever: they must not contain personal data.
    Attributes {
        "type": "object",
        "maxProperties": 20,
        "propertyNames": {
            "minLength": 1,
            "maxLength": 255,
            "pattern": r"^[^\u0000-\u001f\u007f-\u009f]*$"
        },
        "additionalProperties": { "$ref": "#/components/schemas/AttributeValue" }
    };
    /// The value of an attribute. A number has at most four decimals.
    AttributeValue {
        "anyOf": [
            { "type": "boolean" },
            { "type": "number", "minimum": -100_000_000_000_i64, "maximum": 100_000_000_000_i64 },
            {
                "type": "string",
                "maxLength": 255,
                "pattern": r"^[^\u0000-\u001f\u007f-\u009f]*$"
            }
        ]
    };
    /// A number of an attribute. It has at most four decimals.
    AttributeNumber { "type": "number", "minimum": -100_000_000_000_i64, "maximum": 100_000_000_000_i64 };
    /// A local time of day, from 00:00 to 24:00.
    TimeOfDay { "type": "string", "pattern": "^(([01][0-9]|2[0-3]):[0-5][0-9]|24:00)$" };
    /// A calendar period such as P1Y, P9M or P30D.
    Period { "type": "string", "pattern": "^P" };
    /// A currency of ISO 4217.
    Currency { "type": "string", "pattern": "^[A-Z]{3}$" };
    /// An e-mail address.
    Email {
        "type": "string",
        "pattern": r"^\s*[^\s@\u0000-\u001f\u007f-\u009f]+@[^\s@\u0000-\u001f\u007f-\u009f]+\s*$"
    };
    /// A discount code as a shopper types it. Case and surrounding blanks do not matter.
    CodeText {
        "type": "string",
        "pattern": r"^\s*[^\s\u0000-\u001f\u007f-\u009f][^\u0000-\u001f\u007f-\u009f]{0,254}\s*$"
    };
    /// An absolute URL.
    Url {
        "type": "string",
        "minLength": 1,
        "maxLength": 2048
    };
    /// A text that is not blank.
    Title {
        "type": "string",
        "minLength": 1,
        "maxLength": 255,
        "pattern": r"^[^\u0000-\u001f\u007f-\u009f]*[^\s\u0000-\u001f\u007f-\u009f][^\u0000-\u001f\u007f-\u009f]*$"
    };
}

/// The largest whole number that every JSON reader keeps exactly: 2^53 - 1.
const MAX_SAFE_INTEGER: i64 = 9_007_199_254_740_991;

macro_rules! inline_values {
    ($($(#[doc = $doc:literal])* $name:ident $schema:tt;)*) => {$(
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug, Default)]
        pub(crate) struct $name;

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                json_schema!($schema)
            }
        }
    )*};
}

inline_values! {
    /// A member that is true wherever it is there.
    True { "const": true };
    /// `false` alone.
    False { "const": false };
    /// `null` alone.
    Null { "type": "null" };
    /// Any value, which the server sets and ignores in requests.
    ReadOnly { "readOnly": true };
    /// Any value.
    Anything {};
    /// An OpenAPI document.
    Document { "type": "object", "required": ["openapi", "info", "paths", "components"] };
}

/// A text without control characters of at most `MAX` characters.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Text<const MAX: usize>;

impl<const MAX: usize> JsonSchema for Text<MAX> {
    fn schema_name() -> Cow<'static, str> {
        format!("Text{MAX}").into()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        json_schema!({
            "type": "string",
            "maxLength": MAX,
            "pattern": r"^[^\u0000-\u001f\u007f-\u009f]*$"
        })
    }
}

/// Gives types the schema of another.
macro_rules! same_schema {
    ($(($($generics:tt)*) $type:ty => $schema:ty),* $(,)?) => {$(
        impl<$($generics)*> schemars::JsonSchema for $type {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                <$schema as schemars::JsonSchema>::schema_name()
            }

            fn json_schema(generator: &mut schemars::SchemaGenerator) -> schemars::Schema {
                generator.subschema_for::<$schema>()
            }
        }
    )*};
}
pub(crate) use same_schema;

/// The address of a schema of the document.
pub(crate) fn reference(name: &str) -> String {
    format!("{DEFINITIONS}{name}")
}

/// The schema of a string that is one of these.
pub(crate) fn one_of_names(names: impl IntoIterator<Item = &'static str>) -> Schema {
    json_schema!({ "type": "string", "enum": names.into_iter().collect::<Vec<_>>() })
}

/// A type whose schema is derived for requests and referred to in responses: a program is
/// answered as it can be sent.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Sent<T>(std::marker::PhantomData<T>);

impl<T: JsonSchema> JsonSchema for Sent<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        T::schema_name()
    }

    fn json_schema(_: &mut SchemaGenerator) -> Schema {
        Schema::new_ref(reference(&T::schema_name()))
    }
}

/// The members of a response that were selected with `fields`, or all of them.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Selected<T>(std::marker::PhantomData<T>);

impl<T: JsonSchema> JsonSchema for Selected<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("{}Part", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let mut schema = T::json_schema(generator);
        schema.remove("required");
        schema.insert(NULLABLE_MEMBERS.to_owned(), true.into());
        let description = "The members that were selected with `fields`, or all of them.";
        schema.insert("description".to_owned(), description.into());
        schema
    }
}

/// `allOf`: exactly one of `customer_id` and `email`.
pub(crate) fn one_customer() -> Value {
    json!([{
        "description": "One customer, named by `customer_id` or by `email`.",
        "oneOf": [
            needs(&[("customer_id", "string"), ("email", "null")]),
            needs(&[("email", "string"), ("customer_id", "null")])
        ]
    }])
}

/// A condition: the first member is required, and the members have these types.
pub(crate) fn needs(members: &[(&str, &str)]) -> Value {
    let properties: Map<String, Value> = members
        .iter()
        .map(|(name, kind)| ((*name).to_owned(), json!({ "type": kind })))
        .collect();
    let required: Vec<&str> = members.iter().take(1).map(|(name, _)| *name).collect();
    json!({ "required": required, "properties": properties })
}
