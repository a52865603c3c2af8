//! The JSON Schemas of what the plugins send, with PHP's tolerance.

use std::borrow::Cow;
use std::marker::PhantomData;

use schemars::{JsonSchema, Schema, SchemaGenerator, json_schema};

use crate::wire::schema::reference;

/// A decimal as PHP writes it.
const DECIMAL: &str = r"^-?(0|[1-9][0-9]*)(\.[0-9]+)?([eE][-+]?[0-9]+)?$";

macro_rules! values {
    ($($(#[doc = $doc:literal])* $name:ident $schema:tt;)*) => {$(
        $(#[doc = $doc])*
        #[derive(Clone, Copy, Debug)]
        pub(super) struct $name;

        impl JsonSchema for $name {
            fn schema_name() -> Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut SchemaGenerator) -> Schema {
                let mut schema = json_schema!($schema);
                let description = concat!($($doc, "\n",)*).trim();
                schema.insert("description".to_owned(), description.into());
                schema
            }
        }
    )*};
}

values! {
    /// An id: a text, or a whole number.
    StoreId { "$ref": reference("AnyId") };
    /// An id; null, the empty text and 0 stand for none.
    StoreOptionalId {
        "anyOf": [{ "$ref": reference("AnyId") }, { "const": "" }, { "type": "null" }]
    };
    /// A text. Invalid texts, such as an e-mail address without an @, are ignored.
    StoreText {
        "anyOf": [
            { "type": "string", "pattern": r"^[^\u0000]*$" },
            { "type": "integer", "minimum": 0, "maximum": u64::MAX },
            { "type": "null" }
        ]
    };
    /// A decimal as a number or a text.
    StoreAmount {
        "anyOf": [
            { "type": "number", "minimum": 0 },
            { "type": "string", "pattern": DECIMAL }
        ]
    };
    /// A decimal, or nothing.
    OptionalStoreAmount {
        "anyOf": [{ "$ref": reference("StoreAmount") }, { "const": "" }, { "type": "null" }]
    };
    /// A decimal as a number or a text. Below zero it counts as zero.
    StoreNumber {
        "anyOf": [{ "type": "number" }, { "type": "string", "pattern": DECIMAL }]
    };
    /// Whole seconds since 1970.
    StoreTime {
        "anyOf": [
            { "type": "integer", "minimum": 0, "maximum": i64::MAX },
            { "type": "string", "pattern": "^[-+]?[0-9]{1,18}$" }
        ]
    };
    /// Every body brings the key and its signature: HMAC-SHA256, with the key's secret, over the
    /// body without `hmac`, its members sorted, as PHP's `json_encode` writes it; base64.
    Signed {
        "type": "object",
        "required": ["key", "hmac"],
        "propertyNames": {
            "description": "No member begins like a number: PHP would sort it by its value.",
            "pattern": r"^(?![ \t\n\r\u000b\f]*[-+]?\.?[0-9])"
        },
        "properties": { "key": { "type": "string" }, "hmac": { "type": "string" } }
    };
}

/// A list. PHP writes one whose keys have gaps as an object.
#[derive(Clone, Copy, Debug)]
pub(super) struct StoreList<T>(PhantomData<T>);

impl<T: JsonSchema> JsonSchema for StoreList<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("ListOf{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let item = generator.subschema_for::<T>();
        json_schema!({
            "anyOf": [
                { "type": "array", "items": item },
                { "type": "object", "additionalProperties": item },
                { "type": "null" }
            ]
        })
    }
}

/// An object, or nothing. PHP writes an empty object as an empty list.
#[derive(Clone, Copy, Debug)]
pub(super) struct StoreObject<T>(PhantomData<T>);

impl<T: JsonSchema> JsonSchema for StoreObject<T> {
    fn inline_schema() -> bool {
        true
    }

    fn schema_name() -> Cow<'static, str> {
        format!("Optional{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let object = generator.subschema_for::<T>();
        json_schema!({
            "anyOf": [object, { "type": "array", "maxItems": 0 }, { "type": "null" }]
        })
    }
}

/// A body with its key and its signature.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SignedBody<T>(PhantomData<T>);

impl<T: JsonSchema> JsonSchema for SignedBody<T> {
    fn schema_name() -> Cow<'static, str> {
        format!("Signed{}", T::schema_name()).into()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        let (signed, body) = (generator.subschema_for::<Signed>(), generator.subschema_for::<T>());
        json_schema!({ "allOf": [signed, body] })
    }
}
