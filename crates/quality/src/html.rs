//! What the pages share: escaping, style, small pictures in the page itself.

use gmai_schema::Rgb8;
use image::codecs::jpeg::JpegEncoder;
use image::imageops::FilterType;
use image::{ExtendedColorType, ImageEncoder, RgbImage};

/// JPEG quality of pictures in pages: findings and texts are judged by them.
const QUALITY: u8 = 82;

/// Dark text on white, one column on a phone.
pub(crate) const STYLE: &str = "\
:root{color-scheme:light;--ink:#1d2329;--soft:#56616c;--line:#d8dde2;--card:#f5f7f9;--blue:#1f77b4;--red:#b3261e}\
*{box-sizing:border-box}\
body{margin:0 auto;max-width:76rem;padding:1.5rem;background:#fff;color:var(--ink);font:15px/1.5 system-ui,'Noto Sans','Noto Sans CJK SC',sans-serif}\
h1{font-size:1.7rem;line-height:1.25;margin:0 0 .3rem}h2{font-size:1.2rem;margin:2.2rem 0 .7rem;border-bottom:1px solid var(--line);padding-bottom:.25rem}\
h3{font-size:1rem;margin:0 0 .5rem}p{margin:.4rem 0}.soft{color:var(--soft);font-size:.9rem}\
.facts{display:grid;grid-template-columns:repeat(auto-fit,minmax(8.5rem,1fr));gap:.8rem;margin:1.2rem 0}\
.fact{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:.6rem .9rem}\
.fact strong{display:block;font-size:1.6rem;line-height:1.25;font-variant-numeric:tabular-nums}\
.figures{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,22rem),1fr));gap:1rem;align-items:start}\
.figure{border:1px solid var(--line);border-radius:8px;padding:.9rem 1rem;min-width:0}.wide{grid-column:1/-1}\
.figure svg{display:block;width:100%;height:auto}\
.gallery{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,16rem),1fr));gap:1rem}\
.item{background:var(--card);border:1px solid var(--line);border-radius:8px;padding:.8rem;min-width:0;overflow-wrap:anywhere;break-inside:avoid}\
.item img{display:block;max-width:100%;height:11rem;object-fit:contain;margin:0 auto .5rem;border-radius:4px;background:#000}\
.item p{font-size:.88rem;white-space:pre-line}.pair{display:flex;gap:.5rem}.pair img{flex:1 1 0;min-width:0;max-width:50%}\
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-size:.9rem;font-variant-numeric:tabular-nums}\
th,td{padding:.3rem .6rem .3rem 0;border-bottom:1px solid var(--line);text-align:left;vertical-align:top}td.n,th.n{text-align:right}\
.bad{color:var(--red);font-weight:600}\
@media(max-width:30rem){body{padding:1rem}.fact strong{font-size:1.3rem}}\
@media print{body{max-width:none;padding:0;font-size:11px}h2{break-after:avoid}}";

/// Text as HTML: names and answers come from outside.
pub(crate) fn escape(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for letter in text.chars() {
        match letter {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#39;"),
            other => escaped.push(other),
        }
    }
    escaped
}

/// The beginning of a page.
pub(crate) fn head(title: &str) -> String {
    format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width, initial-scale=1\">\
         <title>{}</title><style>{STYLE}</style></head><body>\n",
        escape(title)
    )
}

/// A picture as a `data:` URL, its longer side at most `side` pixels; `None` when it cannot be encoded.
pub(crate) fn data_url(picture: &Rgb8, side: u32) -> Option<String> {
    use base64::Engine;
    let (width, height) = (picture.width(), picture.height());
    let full = RgbImage::from_raw(width, height, picture.pixels().to_vec())?;
    let longer = width.max(height);
    let small = match longer > side {
        true => {
            let scaled = |length: u32| ((u64::from(length) * u64::from(side) / u64::from(longer)) as u32).max(1);
            image::imageops::resize(&full, scaled(width), scaled(height), FilterType::Triangle)
        }
        false => full,
    };
    let mut bytes = Vec::new();
    let encoder = JpegEncoder::new_with_quality(&mut bytes, QUALITY);
    encoder.write_image(small.as_raw(), small.width(), small.height(), ExtendedColorType::Rgb8).ok()?;
    Some(format!("data:image/jpeg;base64,{}", base64::engine::general_purpose::STANDARD.encode(bytes)))
}

/// A number with thin spaces between thousands.
pub(crate) fn number(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::new();
    for (place, digit) in digits.chars().enumerate() {
        if place > 0 && (digits.len() - place).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// `text` cut to `most` characters.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    match text.chars().count() > most {
        true => text.chars().take(most.saturating_sub(1)).chain(['…']).collect(),
        false => text.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_and_texts_are_made_readable() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(number), ["0", "999", "1\u{202f}000", "1\u{202f}234\u{202f}567"]);
        assert_eq!((shortened("肺炎和积液", 3), shortened("ab", 3)), ("肺炎…".to_string(), "ab".to_string()));
        assert_eq!(escape("<a href='x'>&\""), "&lt;a href=&#39;x&#39;&gt;&amp;&quot;");
    }

    #[test]
    fn pictures_are_made_small() {
        let url = data_url(&Rgb8::filled(4000, 10, [1, 2, 3]), 100).unwrap_or_default();
        assert!(url.starts_with("data:image/jpeg;base64,") && url.len() < 2_000);
    }
}
