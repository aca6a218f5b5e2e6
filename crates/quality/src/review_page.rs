//! The sheet on which a person scores samples: pictures, texts, what the annotation says, and five buttons each.
//!
//! Scores stay in the reader's browser until they are saved as a file; nothing is sent.

use crate::html::{data_url, escape, head};
use crate::review::{LEVELS, PASS, facts};
use gmai_schema::Role;
use gmai_schema::conversation::IMAGE_MARKER;
use gmai_shard::Sample;

/// Longer side of a picture on the sheet, in pixels: findings must be visible.
const SIDE: u32 = 448;

const STYLE: &str = "<style>.sheet{display:grid;grid-template-columns:repeat(auto-fill,minmax(min(100%,24rem),1fr));gap:1rem}\
.sheet .item img{height:auto;min-height:14rem;max-height:22rem}.score{display:flex;gap:.4rem;margin:.6rem 0}.score label{flex:1;text-align:center;border:1px solid var(--line);\
border-radius:6px;background:#fff;cursor:pointer;padding:.35rem 0}.score input{position:absolute;opacity:0}.score label:has(:checked){background:var(--blue);color:#fff;font-weight:700}\
.score label:has(:focus-visible){outline:2px solid var(--ink)}textarea,#reviewer{width:100%;font:inherit;padding:.35rem .5rem;border:1px solid var(--line);border-radius:6px}\
#bar{position:sticky;top:0;background:#fff;border-bottom:1px solid var(--line);padding:.6rem 0;display:flex;gap:.8rem;align-items:center;flex-wrap:wrap;z-index:1}\
#bar input{max-width:16rem}button{font:inherit;padding:.4rem 1rem;border-radius:6px;border:0;background:var(--blue);color:#fff;cursor:pointer}\
.done{border-color:#217a3c}ol.levels{margin:.3rem 0 1rem;padding-left:1.4rem}</style>";

const SCRIPT: &str = "<script>\n\
const key='gmai-review-'+document.body.dataset.dataset+'-'+document.body.dataset.content;\n\
const items=[...document.querySelectorAll('article.item')];\n\
const state=JSON.parse(localStorage.getItem(key)||'{}');\n\
const reviewer=document.getElementById('reviewer');reviewer.value=state.reviewer||'';\n\
function collect(){return items.map(item=>{const box=item.querySelector('input:checked');return box?{id:item.dataset.id,score:Number(box.value),comments:item.querySelector('textarea').value}:null}).filter(Boolean)}\n\
function keep(){const scores=collect();items.forEach(item=>item.classList.toggle('done',!!item.querySelector('input:checked')));\n\
document.getElementById('count').textContent=scores.length+' of '+items.length+' scored';\n\
try{localStorage.setItem(key,JSON.stringify({reviewer:reviewer.value,scores}))}catch(error){}}\n\
(state.scores||[]).forEach(score=>{const item=items.find(item=>item.dataset.id===score.id);if(!item)return;\n\
const box=item.querySelector('input[value=\"'+score.score+'\"]');if(box)box.checked=true;item.querySelector('textarea').value=score.comments});\n\
document.addEventListener('input',keep);keep();\n\
document.getElementById('save').addEventListener('click',()=>{if(!reviewer.value.trim()){reviewer.focus();reviewer.placeholder='Your mark is needed';return}\n\
const text=JSON.stringify({dataset:document.body.dataset.dataset,reviewer:reviewer.value.trim(),scores:collect()},null,1);\n\
const link=document.createElement('a');link.href=URL.createObjectURL(new Blob([text],{type:'application/json'}));\n\
link.download='scores-'+reviewer.value.trim().replace(/[^A-Za-z0-9_-]+/g,'_')+'.json';link.click();setTimeout(()=>URL.revokeObjectURL(link.href),1000)});\n\
</script>";

/// The sheet for these rows, which stand source by source. It loads nothing from elsewhere.
pub fn review_html(dataset: &str, content: &str, rows: &[Sample]) -> String {
    let mut page = head(&format!("{dataset}: review")).replacen(
        "<body>",
        &format!("{STYLE}<body data-dataset=\"{}\" data-content=\"{}\">", escape(dataset), escape(content)),
        1,
    );
    page += &format!(
        "<h1>Review of {}</h1><p>Score each pair from 1 (best) to 5 (worst): accuracy, clarity and completeness of the text, and its relevance to the picture. \
         A source passes at a mean of {PASS} or less. Save the file at the end and give it to <code>gmai dataset review --scores</code>.</p><ol class=\"levels\">",
        escape(dataset)
    );
    LEVELS.iter().for_each(|level| page += &format!("<li>{level}</li>"));
    page += "</ol><div id=\"bar\"><input id=\"reviewer\" aria-label=\"Your mark\" placeholder=\"Your mark, e.g. initials\"><button id=\"save\">Save scores</button><span id=\"count\"></span></div>";
    let mut source = None;
    for row in rows {
        let own = &row.conversation.source;
        if source != Some(own) {
            page += if source.is_some() { "</div>" } else { "" };
            page += &format!("<h2>{}</h2><div class=\"sheet\">", escape(own));
            source = Some(own);
        }
        page += &item(row);
    }
    page += if source.is_some() { "</div>" } else { "" };
    page + SCRIPT + "</body></html>\n"
}

fn item(row: &Sample) -> String {
    let conversation = &row.conversation;
    let id = escape(&conversation.id);
    let mut text = format!("<article class=\"item\" data-id=\"{id}\">");
    for image in &row.images {
        if let Some(url) = image.decode().ok().and_then(|picture| data_url(&picture, SIDE)) {
            text += &format!("<img loading=\"lazy\" alt=\"picture of the pair\" src=\"{url}\">");
        }
    }
    for turn in &conversation.turns {
        let said = escape(turn.value.replace(IMAGE_MARKER, "").trim());
        text += &match turn.from {
            Role::Assistant => format!("<p><strong>{said}</strong></p>"),
            _ => format!("<p>{said}</p>"),
        };
    }
    let slice = conversation
        .provenance
        .slice
        .map_or_else(String::new, |slice| format!(", {} {}", slice.axis.key(), slice.index));
    text += &format!(
        "<p class=\"soft\">Annotation: {}<br>From: {}{slice}<br>Text by: {}</p><div class=\"score\" role=\"radiogroup\" aria-label=\"Score\">",
        escape(&facts(conversation)),
        escape(&conversation.provenance.file),
        escape(&conversation.generator)
    );
    for level in 1..=5 {
        text += &format!(
            "<label title=\"{}\"><input type=\"radio\" name=\"{id}\" value=\"{level}\">{level}</label>",
            LEVELS[level - 1]
        );
    }
    text + "</div><textarea rows=\"1\" aria-label=\"Comments\" placeholder=\"Comments\"></textarea></article>"
}
