//! What tells who somebody is and what becomes of it.

use crate::world::{World, source};
use gmai_schema::Conversation;

fn all_text(conversations: Vec<&Conversation>) -> String {
    let turns = conversations.into_iter().flat_map(|conversation| &conversation.turns);
    turns.map(|turn| turn.value.as_str()).collect::<Vec<_>>().join("\n")
}

const REPORTS: &str = "modality = \"x_ray\"\nkind = { text_report = { files = \"reports/{stem}.txt\" } }";
const NOTE: &str =
    "FINDINGS: The lungs are clear. Seen by Dr. Wilson, MRN 4711382, call 512-832-5025.\nIMPRESSION: Normal chest.";

#[test]
fn reports_lose_names_and_numbers_unless_told_otherwise() {
    let world = World::new("privacy_reports");
    world.write("reports/a.txt", NOTE);
    let made = world.curate(&source("reports", REPORTS));
    let text = all_text(made.of("reports").collect());
    assert!(text.contains("Seen by Dr. [NAME], [ID], call [PHONE]."), "{text}");
    assert!(!text.contains("Wilson") && !text.contains("4711382"));
    let account = made.source().deidentified.clone().unwrap();
    assert_eq!(account.identifiers["name"], account.identifiers["phone"]);
    let row = made.of("reports").next().unwrap();
    assert!(row.provenance.deidentification.as_ref().unwrap().contains("texts cleaned"));

    let world = World::new("privacy_kept");
    world.write("reports/a.txt", NOTE);
    let made = world.curate(&format!("deidentify = {{ texts = \"none\" }}\n{}", source("reports", REPORTS)));
    assert!(all_text(made.of("reports").collect()).contains("Wilson"));
    assert!(made.source().deidentified.is_none());
}

#[test]
fn names_of_files_become_keyed_pseudonyms_also_in_quarantine() {
    let world = World::new("privacy_names");
    world.write("reports/john_smith.txt", NOTE);
    world.write("reports/jane_doe.txt", " ");
    let settings = "deidentify = { names = \"pseudonyms\", key = \"project.key\" }\n";
    let made = world.curate(&format!("{settings}{}", source("reports", REPORTS)));
    let row = made.of("reports").next().unwrap();
    assert!(
        row.provenance.file.starts_with('F') || row.provenance.file.starts_with("reports/F"),
        "{}",
        row.provenance.file
    );
    assert!(row.patient.starts_with('F'), "by the key: {}", row.patient);
    let left: Vec<_> =
        std::fs::read_dir(world.folder.join("out")).unwrap().flatten().map(|entry| entry.path()).collect();
    for file in left.iter().filter(|path| path.is_file()) {
        let bytes = std::fs::read(file).unwrap();
        for name in ["john_smith", "jane_doe"] {
            assert!(!bytes.windows(name.len()).any(|window| window == name.as_bytes()), "{name} in {}", file.display());
        }
    }
    assert_eq!(made.quarantined.len(), 1);
}

#[test]
fn pseudonyms_need_a_key() {
    let world = World::new("privacy_no_key");
    world.write("reports/a.txt", NOTE);
    let job = world.job(&format!("deidentify = {{ names = \"pseudonyms\" }}\n{}", source("reports", REPORTS)));
    let error = gmai_curate::run(&job, &mut |_| {}).unwrap_err().to_string();
    assert!(error.contains("need `key`"), "{error}");
}
