//! Characters that nobody sees: two texts that differ in them look alike.

/// Returns true for a character without a shape of its own: a format character (Unicode's
/// category Cf), a filler, or a selector of a variant. Blanks and control characters are not
/// among them.
///
/// Ids and e-mail addresses contain none: a copy with one would be another customer. In the
/// words of some languages the joiners U+200C and U+200D are spelling.
///
/// # Example: a zero-width space
/// ```
/// use loyalty_core::text::is_invisible;
/// assert!(is_invisible('\u{200b}') && is_invisible('\u{ad}') && is_invisible('\u{202e}'));
/// assert!(!is_invisible('a') && !is_invisible(' ') && !is_invisible('é'));
/// ```
pub fn is_invisible(character: char) -> bool {
    if character.is_ascii() {
        return false;
    }
    matches!(
        character,
        '\u{ad}'
            | '\u{34f}'
            | '\u{600}'..='\u{605}'
            | '\u{61c}'
            | '\u{6dd}'
            | '\u{70f}'
            | '\u{890}'..='\u{891}'
            | '\u{8e2}'
            | '\u{115f}'..='\u{1160}'
            | '\u{17b4}'..='\u{17b5}'
            | '\u{180b}'..='\u{180f}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{3164}'
            | '\u{fe00}'..='\u{fe0f}'
            | '\u{feff}'
            | '\u{ffa0}'
            | '\u{fff0}'..='\u{fffb}'
            | '\u{110bd}'
            | '\u{110cd}'
            | '\u{13430}'..='\u{1343f}'
            | '\u{1bca0}'..='\u{1bca3}'
            | '\u{1d173}'..='\u{1d17a}'
            | '\u{e0000}'..='\u{e0fff}'
    )
}
