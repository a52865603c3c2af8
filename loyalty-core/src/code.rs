//! Discount codes: their text, and the normalized form that is compared.

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use unicode_normalization::UnicodeNormalization;

/// The reason why a text cannot be a discount code.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CodeError {
    /// The text is empty, or contains only blanks.
    #[error("must not be empty")]
    Empty,
    /// The text contains a control character, such as NUL or a line break.
    #[error("must not contain control characters")]
    ControlCharacter,
    /// The text has more than [`Code::MAX_CHARS`] characters.
    #[error("must be at most {} characters", Code::MAX_CHARS)]
    TooLong,
}

/// A discount code. It keeps the text as typed and compares without regard to case.
///
/// Codes are compared by their [`Code::key`]: Unicode's canonical caseless form (default
/// case folding, then NFC), without surrounding blanks.
///
/// # Example: spellings of one code
/// ```
/// use loyalty_core::discount::Code;
/// let code = Code::new("  Straße-10 ").unwrap();
/// assert_eq!((code.as_str(), code.key()), ("Straße-10", "strasse-10"));
/// assert_eq!(code, Code::new("STRASSE-10").unwrap());
/// ```
#[derive(Clone, Debug)]
#[cfg_attr(feature = "json", derive(serde::Serialize, serde::Deserialize))]
#[cfg_attr(feature = "json", serde(try_from = "String", into = "String"))]
pub struct Code {
    text: Arc<str>,
    key: Arc<str>,
}

impl Code {
    /// Maximum number of characters of a code.
    pub const MAX_CHARS: usize = 255;
    /// Maximum number of characters of the prefix of a generated code.
    pub const MAX_PREFIX_CHARS: usize = 64;
    /// Symbols of generated codes. No two of them look alike in print or handwriting: none
    /// of 0 O Q, 1 I L and U, and one each of 2 Z, 5 S, 6 G and 8 B. There are no vowels, so
    /// that no code is a word.
    pub const ALPHABET: [char; 23] = [
        'C', 'D', 'F', 'H', 'J', 'K', 'M', 'N', 'P', 'R', 'T', 'V', 'W', 'X', 'Y', '2', '3', '4',
        '5', '6', '7', '8', '9',
    ];

    /// Creates a code from a text of 1 to 255 characters. Surrounding blanks are removed.
    ///
    /// # Errors
    /// The text is empty, too long, or contains control characters.
    pub fn new(text: &str) -> Result<Self, CodeError> {
        let typed = trim_code(text);
        if typed.is_empty() {
            return Err(CodeError::Empty);
        }
        if typed.chars().nth(Self::MAX_CHARS).is_some() {
            return Err(CodeError::TooLong);
        }
        if typed.chars().any(char::is_control) {
            return Err(CodeError::ControlCharacter);
        }
        Ok(Self { text: Arc::from(typed), key: Arc::from(fold_case(typed)) })
    }

    /// Generates a code that cannot be guessed: the prefix and four groups of five symbols,
    /// such as `VIP-7KHXW-3PM9T-C4RVY-2NDFJ`. The symbols contain some 90 bits of entropy.
    ///
    /// `entropy` must be random bytes from the operating system.
    ///
    /// # Errors
    /// The prefix is longer than [`Code::MAX_PREFIX_CHARS`] or contains control characters.
    ///
    /// # Example: a prefix and random bytes
    /// ```
    /// use loyalty_core::discount::Code;
    /// let code = Code::generate("VIP", [7; 16]).unwrap();
    /// assert!(code.as_str().starts_with("VIP-"));
    /// assert_eq!(code.as_str().len(), 27);
    /// ```
    pub fn generate(prefix: &str, entropy: [u8; 16]) -> Result<Self, CodeError> {
        let prefix = prefix.trim();
        if prefix.chars().nth(Self::MAX_PREFIX_CHARS).is_some() {
            return Err(CodeError::TooLong);
        }

        let mut remaining = u128::from_be_bytes(entropy);
        let mut text = String::from(prefix);
        for position in 0..20_u8 {
            if position.is_multiple_of(5) && !text.is_empty() {
                text.push('-');
            }
            // 2^128 is some 2^37 times 23^20, so the bias between symbols is about 2^-37.
            let symbol = remaining
                .checked_rem(23)
                .and_then(|symbol| usize::try_from(symbol).ok());
            remaining = remaining.checked_div(23).unwrap_or_default();
            text.extend(symbol.and_then(|symbol| Self::ALPHABET.get(symbol)));
        }

        Self::new(&text)
    }

    /// The text as typed, without surrounding blanks.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The normalized text, for look-ups and comparisons.
    pub fn key(&self) -> &str {
        &self.key
    }
}

/// Returns a code as it was typed, without what surrounds it.
pub(crate) fn trim_code(text: &str) -> &str {
    // Text copied from an e-mail may contain the invisible U+200B and U+FEFF.
    text.trim_matches(|c: char| c.is_whitespace() || matches!(c, '\u{200b}' | '\u{feff}'))
}

/// Returns the canonical caseless form: the text is decomposed, case-folded and composed.
fn fold_case(text: &str) -> String {
    if text.is_ascii() {
        return text.to_ascii_lowercase();
    }
    let decomposed: String = text.nfd().collect();
    unicase::UniCase::unicode(decomposed).to_folded_case().nfc().collect()
}

impl PartialEq for Code {
    fn eq(&self, other: &Self) -> bool {
        self.key == other.key
    }
}

impl Eq for Code {}

impl PartialOrd for Code {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Code {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key.cmp(&other.key)
    }
}

impl Hash for Code {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.key.hash(state);
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl std::str::FromStr for Code {
    type Err = CodeError;

    fn from_str(text: &str) -> Result<Self, CodeError> {
        Self::new(text)
    }
}

impl TryFrom<String> for Code {
    type Error = CodeError;

    fn try_from(text: String) -> Result<Self, CodeError> {
        Self::new(&text)
    }
}

impl From<Code> for String {
    fn from(code: Code) -> Self {
        code.as_str().to_owned()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test may stop at what it did not expect")]
    use std::collections::{BTreeMap, BTreeSet, HashSet};

    use super::*;

    #[test]
    fn codes_fold_by_unicode_rules() {
        for (text, expected) in [
            ("SAVE10", Ok("save10")),
            (" save 10\t", Ok("save 10")),
            ("\u{feff}SAVE10\u{200b}", Ok("save10")),
            ("ÉTÉ", Ok("été")),
            ("E\u{301}te\u{301}", Ok("été")),
            ("STRASSE", Ok("strasse")),
            ("straße", Ok("strasse")),
            ("ΣΊΣΥΦΟΣ", Ok("σίσυφοσ")),
            ("σίσυφος", Ok("σίσυφοσ")),
            ("ﬁre", Ok("fire")),
            ("🎉", Ok("🎉")),
            ("", Err(CodeError::Empty)),
            (" \u{200b} ", Err(CodeError::Empty)),
            ("a\0b", Err(CodeError::ControlCharacter)),
            ("a\nb", Err(CodeError::ControlCharacter)),
        ] {
            assert_eq!(
                Code::new(text).as_ref().map(Code::key),
                expected.as_ref().map(|key| *key),
                "{text:?}"
            );
        }
        assert!(Code::new(&"ß".repeat(255)).is_ok());
        assert_eq!(Code::new(&"x".repeat(256)), Err(CodeError::TooLong));
    }

    #[test]
    fn generated_codes_are_grouped_and_differ_in_every_symbol() {
        assert_eq!(Code::generate("", [0; 16]).unwrap().as_str(), "CCCCC-CCCCC-CCCCC-CCCCC");
        let code = Code::generate("vip", [0xff; 16]).unwrap();
        assert!(code.as_str().starts_with("vip-") && code.as_str().len() == 27, "{code}");
        assert_eq!(Code::generate(&"x".repeat(65), [0; 16]), Err(CodeError::TooLong));
        assert_eq!(Code::generate("a\0", [0; 16]), Err(CodeError::ControlCharacter));
        // Over 80 bits: 2^80 values of the entropy's low bits make 2^80 codes.
        let codes: BTreeSet<_> = (0..80_u32)
            .map(|bit| Code::generate("", (1_u128 << bit).to_be_bytes()).unwrap())
            .collect();
        assert_eq!(codes.len(), 80);
        let space = (0..20).try_fold(1_u128, |space, _| space.checked_mul(23)).unwrap();
        assert!(space > 1 << 90);
    }

    /// A million codes of random bytes are distinct; with 36 bits of entropy some would repeat.
    /// Among the first codes the symbols are uniformly distributed at every position.
    #[test]
    fn a_million_codes_differ() {
        const COUNTED: u32 = 20_000;
        let mut state = 0_u64;
        let mut random = || {
            // SplitMix64.
            state = state.wrapping_add(0x9e37_79b9_7f4a_7c15);
            let mixed = (state ^ (state >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
            let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
            (mixed ^ (mixed >> 31)).to_be_bytes()
        };

        let mut codes = HashSet::new();
        let mut counts = BTreeMap::<(usize, char), u32>::new();
        for number in 0..1_000_000 {
            let entropy = [random(), random()].concat().try_into().unwrap();
            let code = Code::generate("", entropy).unwrap();

            for symbol in code
                .as_str()
                .char_indices()
                .filter(|(_, symbol)| number < COUNTED && *symbol != '-')
            {
                counts
                    .entry(symbol)
                    .and_modify(|count| *count = count.saturating_add(1))
                    .or_insert(1);
            }
            assert!(codes.insert(code.key().to_owned()), "{code} is a duplicate");
        }

        assert_eq!(counts.len(), 20 * 23);
        let even = COUNTED.div_euclid(23);
        // Eight times the standard deviation.
        let biased: Vec<_> = counts
            .iter()
            .filter(|(_, count)| count.abs_diff(even) > 231)
            .collect();
        assert!(biased.is_empty(), "{biased:?}");
    }

    #[test]
    fn no_two_symbols_look_alike() {
        let symbols = BTreeSet::from(Code::ALPHABET);
        assert_eq!(symbols.len(), Code::ALPHABET.len());
        for alike in ["0OQD", "1IL", "2Z", "5S", "6G", "8B", "UV", "AEIOU"] {
            assert!(alike.chars().filter(|c| symbols.contains(c)).count() <= 1, "{alike}");
        }
    }
}
