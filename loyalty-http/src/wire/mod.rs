//! What goes over the wire: the types of the bodies, apart from the core's own types, so that
//! either side can change without the other.

pub mod json;
