//! The numbers under which responses are found: a response's slot is the generation of its number
//! and 40 bits of its idempotency key.
//!
//! Clients choose the keys, so they come in any order, and an index by key would touch a page for
//! each. Ordered by generation first, new entries are close to each other, and so are the old ones
//! that are pruned. Keys that share a slot are distinguished by the responses themselves.

use std::sync::Arc;

use loyalty_core::ShopId;

use crate::transact::StoredResponse;

/// The shop and the hashed idempotency key of a response.
pub(crate) type ResponseKey = (ShopId, [u8; 16]);

/// A response with its number. Responses of one commit have consecutive numbers.
pub(crate) type NumberedResponse = (i64, Arc<StoredResponse>);

/// A generation has two to this power responses.
pub(crate) const GENERATION_BITS: u32 = 16;

/// The number of bits of a key in a slot.
pub(crate) const KEY_BITS: u32 = 40;

/// Returns the slot of a key for the response with a number. Files contain slots, so this must
/// not change.
pub(crate) fn slot_of(number: i64, key: &ResponseKey) -> i64 {
    (number >> GENERATION_BITS) << KEY_BITS | key_bits(key)
}

/// Returns the part of a key that its slots contain.
pub(crate) fn key_bits(key: &ResponseKey) -> i64 {
    key_bits_of_slot(hash_key(key).cast_signed())
}

/// Returns the part of a slot that stands for its key.
pub(super) const fn key_bits_of_slot(slot: i64) -> i64 {
    slot & ((1 << KEY_BITS) - 1)
}

/// Hashes a key again, since embedders may pass sequential keys instead of hashes.
fn hash_key((shop, key): &ResponseKey) -> u64 {
    let (words, _) = key.as_chunks();
    words
        .iter()
        .fold(mix(shop.0.cast_unsigned()), |hash, word| mix(hash ^ u64::from_be_bytes(*word)))
}

/// Splitmix64's finalizer: each bit of the input affects all bits of the output.
pub(crate) const fn mix(number: u64) -> u64 {
    let number = (number ^ number >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ number >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ number >> 31
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Files contain them: a program that computes others would not find their responses.
    #[test]
    fn slots_of_released_files_do_not_change() {
        let slots = [(1, 1, 1), (1, 65_536, 1), (2, 1, 1), (1, 1, u128::MAX)]
            .map(|(shop, number, key)| slot_of(number, &(ShopId(shop), key.to_be_bytes())));
        assert_eq!(
            slots,
            [42_381_422_217, (1 << 40) + 42_381_422_217, 978_618_774_808, 537_146_336_257]
        );
    }
}
