//! What English reports write.

use super::Kind;
use super::rules::{Pattern, pattern};

pub(super) static PATTERNS: &[Pattern] = &[
    // Months in words.
    pattern(
        Kind::Date,
        r"(?i)\b(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?[ \-]\d{1,2}(?:st|nd|rd|th)?(?:,?[ \-]+(?:19|20)\d{2})?\b",
    ),
    pattern(
        Kind::Date,
        r"(?i)\b\d{1,2}(?:st|nd|rd|th)?(?: of)?[ \-]?(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?(?:,?[ \-]?(?:19|20)?\d{2})?\b",
    ),
    pattern(
        Kind::Date,
        r"(?i)\b(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)\.?,?(?: of)? (?:19|20)\d{2}\b",
    ),
    pattern(
        Kind::Date,
        r"(?i)\b(?:dob|date of birth|d\.o\.b\.?|birth ?date|born(?: on)?|admit(?:ted)?(?: date)?|discharge date|date)\s*[:=]?\s*(\d{1,2}[/\-. ]\d{1,2}(?:[/\-. ]\d{2,4})?)",
    ),
    pattern(Kind::Date, r"\b(?:in|since|until|from|of|year|circa|before|after|during) ((?:19[0-9]|20[0-4])\d)\b"),
    pattern(Kind::Date, r"(?i)\b(?:on|by|since|until|dated|from) (\d{1,2}/\d{1,2})\b"),
    pattern(
        Kind::Date,
        r"\b(?:[Ii]n|[Ss]ince|[Uu]ntil|[Ll]ast|[Tt]his|[Nn]ext|[Ee]arly|[Ll]ate|[Mm]id)[ \-](January|February|March|April|May|June|July|August|September|October|November|December)\b",
    ),
    pattern(Kind::Date, r"(?i)\b(?:in|since|from|circa)[ \t]+['’](\d{2})\b"),
    pattern(Kind::Date, r"\(['’](\d{2})\)"),
    // A day before a time of day, as nurses write.
    pattern(Kind::Date, r"\b((?:1[0-2]|0?[1-9])/(?:3[01]|[12]\d|0?[1-9]))[ \t]+(?:[01]\d|2[0-3]):?[0-5]\d\b"),
    // Telephones within a house.
    pattern(Kind::Phone, r"\((\d{3}[ \-]\d{4})\)"),
    pattern(
        Kind::Phone,
        r"(?i)\b(?:call ?back|pager|beeper|extension|ext\.?|dial|phone|tel\.?|call)[ \t]*[:#]?[ \t]*(x?\d[\d\-]{3,9}\d)\b",
    ),
    // Ages.
    pattern(Kind::Age, r"(?i)\b((?:9\d|1[0-3]\d)(?:[ \-]?(?:years?|yrs?|yo|y\.?o\.?|y/o))(?:[ \-]*old)?)\b"),
    pattern(Kind::Age, r"(?i)\b(?:age|aged)\s*:?\s*(9\d|1[0-3]\d)\b"),
    // People by what stands before or after them.
    pattern(
        Kind::Name,
        r"\b(?:Dr|Drs|Doctor|Prof|Professor|Mr|Mrs|Ms|Miss|Mx|Nurse|Sister|Rev|Capt|Sgt)\b\.?[ \t]+({NAME})",
    ),
    pattern(
        Kind::Name,
        r"\b({CAP}(?:[ \t]+(?:{CAP}|\p{Lu}\b)){0,3}),?[ \t]+(?:M\.?D\.?|D\.?O\.?|R\.?N\.?|N\.?P\.?|PA-?C|Ph\.?D\.?|F\.?R\.?C\.?[SPR]\.?|MBBS|DDS|FACS)\b",
    ),
    pattern(
        Kind::Name,
        r"(?i:\b(?:patient(?:'s)?(?: name| information)?|pt|name|attending(?: physician)?|inpatient attending|resident|staff|surgeon|(?:first )?assist(?:ant)?|endoscopist|operator|performed by|anesthesiologist|anaesthetist|technologist|sonographer|mother|father|physician|primary care physician|pcp|provider|referring(?: physician| doctor)?|radiologist|pathologist|consultant|author|next of kin|emergency contact|guardian|electronically signed by|e-signed by|signed(?: by)?|dictated by|transcribed by|reported by|read by|verified by|approved by|reviewed by|seen by|referred by|requested by|cc|attn|contact)[ \t]*[:=][ \t]*(?:Dr\.?|Mr\.?|Mrs\.?|Ms\.?|Prof\.?)?[ \t]*)({CAP}(?:,?[ \t]+(?:{CAP}|\p{Lu}\b)){0,4})",
    ),
    pattern(
        Kind::Name,
        r"(?i:\b(?:electronically signed by|signed by|dictated by|transcribed by|performed by|reported by|read by|verified by|reviewed by|seen by|referred by|referring|communicated to|discussed with|spoke (?:to|with)|named|dear|sincerely,)\s+)(?:(?:Dr|Mr|Mrs|Ms|Prof)\.?[ \t]+)?({NAME})",
    ),
    pattern(
        Kind::Name,
        r"(?i:\b(?:wife|husband|son|daughter|mother|father|brother|sister|partner|spouse|friend|neighbou?r|niece|nephew|grandson|granddaughter|caregiver)(?:'s name is| is|,)?[ \t]+)({CAP}(?:[ \t]+{CAP}){0,2})",
    ),
    pattern(
        Kind::Name,
        r"\b(?:Patient Information|Patient|Pt)[ \t]+({CAP}(?:[ \t]+{CAP}){1,2}),?[ \t]+(?:\d|is\b|was\b|a\b)",
    ),
    pattern(
        Kind::Name,
        r"\b({CAP}(?:[ \t]+(?:{CAP}|\p{Lu}\.?)){1,2}),?[ \t]+(?:is an?[ \t]+)?\d{1,3}[ \-]?(?:y\.?o|years?[ \-]old|year-old|yr)",
    ),
    // Numbers of people and cases.
    pattern(
        Kind::Id,
        r"(?i:\b(?:mrn|mr ?#|medical record(?: no| number| #)?|record(?: no| number| #)|acct|account(?: no| number)?|ssn|social security(?: no| number)?|accession(?: no| number)?|case(?: no| number| #)|chart(?: no| number)?|unit(?: no| number| ?#)|visit(?: id| no| number)|encounter(?: id| no| number)?|order(?: id| no| number| #)|patient id|hospital(?: no| number)|study id|npi|dea|licen[cs]e(?: no| number)?|policy(?: no| number)?|member id|insurance(?: id| no| number)?|nhs(?: no| number)?|passport(?: no)?)\.?[ \t]*[:#=]*[ \t]*#?[ \t]*)({ID})",
    ),
    pattern(Kind::Id, r"\b(?:ID|MC|MR|Id)[ \t]*[:#=]+[ \t]*({ID})"),
    pattern(Kind::Id, r"(?i)\bending(?: in| with)?[ \t]+(\d{3,6})\b"),
    pattern(Kind::Id, r"\b[Uu]nit[ \t]*:[ \t]*([A-Z]{2,}\d{2,})\b"),
    pattern(Kind::Id, r"#[ \t]?(\d{4,})"),
    // Numbers of pathology: a letter, the year, a number.
    pattern(Kind::Id, r"\b([A-Z]{1,3}\d{2}-\d{3,})\b"),
    pattern(Kind::Id, r"\[(\d{5,})\]"),
    pattern(Kind::Id, r"\b([A-Z]{2,5}-?\d{5,8}(?:-\d+)*)\b"),
    // Addresses and places.
    pattern(
        Kind::Address,
        r"\b\d{1,5}[A-Za-z]?[ \t]+(?:[NSEW]\.?[ \t]+)?(?:[A-Z][\p{L}'\-]+|\d{1,3}(?:st|nd|rd|th)|[a-z]+)(?:[ \t]+[A-Z][\p{L}'\-]+){0,3}[ \t]+(?:Street|St|Avenue|Ave|Road|Rd|Drive|Dr|Lane|Ln|Court|Ct|Boulevard|Blvd|Way|Place|Pl|Terrace|Ter|Parkway|Pkwy|Square|Sq|Highway|Hwy|Circle|Cir|Crescent|Close|Gardens|Row|Walk|Trail|Alley|Mews|Grove|Rise|Vale|Hill|Green|View|Loop|Plaza|Broadway|Turnpike|Pike)\b\.?(?:,?[ \t]+(?:Apt|Apartment|Suite|Ste|Unit|Floor|Fl|#)\.?[ \t]*[\dA-Za-z\-]+)?",
    ),
    pattern(
        Kind::Address,
        r"\b(?:[A-Z][\p{L}'\-]+[ \t]+){1,2}(?:Street|Avenue|Ave|Road|Lane|Court|Ct|Boulevard|Blvd|Terrace|Parkway)\b\.?",
    ),
    pattern(
        Kind::Address,
        r"\b\d{1,5}[A-Za-z]?,?[ \t]+(?:Calle|Avenida|Camino|Paseo|Via|Rue|Rua)[ \t]+(?:(?:del|de|la|las|los|el|du|des|da|do)[ \t]+)*{CAP}(?:[ \t]+{CAP})?(?:,?[ \t]+(?:Apt|Apartment|Suite|Ste|Unit|#)\.?[ \t]*[\dA-Za-z\-]+)?",
    ),
    pattern(Kind::Address, r"(?i:\bP\.?[ \t]?O\.?[ \t]*Box[ \t]+)\d+"),
    pattern(
        Kind::Address,
        r"(?i:\b(?:home |mailing |street )?address[ \t]*:[ \t]*)([^\n;]{4,60}?)(?:[ \t]{2,}|\n|;|$|[ \t]+(?:Home|Phone|Tel))",
    ),
    pattern(Kind::Place, r"\b(?:{CAP}[ \t]+){0,2}{CAP},?[ \t]+[A-Z]{2},?[ \t]+\d{5}(?:-\d{4})?\b"),
    pattern(
        Kind::Place,
        r"\b{CAP}(?:[ \t]{CAP})?,[ \t]+(?:AL|AK|AZ|AR|CA|CO|CT|DE|FL|GA|HI|ID|IL|IN|IA|KS|KY|LA|ME|MA|MI|MN|MS|MO|MT|NE|NV|NH|NJ|NM|NY|NC|ND|OH|OK|OR|PA|RI|SC|SD|TN|TX|UT|VT|VA|WA|WV|WI|WY|DC)\b",
    ),
    pattern(Kind::Place, r"\b[A-Z]{2},?[ \t]+\d{5}(?:-\d{4})?\b"),
    pattern(Kind::Place, r"\b(?:(?:{CAP}[ \t]+){0,2}{CAP},?[ \t]+)?[A-Z]{1,2}\d[\dA-Z]?[ \t]\d[A-Z]{2}\b"),
    pattern(Kind::Place, r"\b{CAP}(?:[ \t]{CAP})?[ \t]County\b"),
    pattern(
        Kind::Place,
        r"\b{CAP}(?:[ \t]{CAP})?,[ \t]+(?:Alabama|Alaska|Arizona|Arkansas|California|Colorado|Connecticut|Delaware|Florida|Georgia|Hawaii|Idaho|Illinois|Indiana|Iowa|Kansas|Kentucky|Louisiana|Maine|Maryland|Massachusetts|Michigan|Minnesota|Mississippi|Missouri|Montana|Nebraska|Nevada|New (?:Hampshire|Jersey|Mexico|York)|North (?:Carolina|Dakota)|Ohio|Oklahoma|Oregon|Pennsylvania|Rhode Island|South (?:Carolina|Dakota)|Tennessee|Texas|Utah|Vermont|Virginia|Washington|West Virginia|Wisconsin|Wyoming)\b",
    ),
    pattern(
        Kind::Place,
        r"(?i:\b(?:lives?|living|resid(?:es|ing|ent)|born|moved|raised|retired|works?|worked|working|employed|travel(?:l?ed)?)[ \t]+(?:alone[ \t]+)?(?:in|to|from|at|for|by|near|outside)[ \t]+(?:the[ \t]+)?)({CAP}(?:[ \t]+{CAP}){0,2})",
    ),
    pattern(
        Kind::Hospital,
        r"\b(?:{CAP}[ \t]+(?:of[ \t]+|and[ \t]+|&[ \t]+)?){1,4}(?:Hospital|Clinic|Medical Cent(?:er|re)|Health Cent(?:er|re)|Health System|Healthcare|Infirmary|Nursing Home|Hospice|Surgery Center|Rehabilitation Center|Cancer Center|Institute|University|Imaging Center|NHS Trust|Family Practice|Medical Group|Medical Practice|Manor)\b",
    ),
    pattern(
        Kind::Hospital,
        r"\b(?:\p{Lu}{2,}[.']?[ \t]+(?:(?:OF|AND|&|THE)[ \t]+)?){1,5}(?:HOSPITAL|CLINIC|MEDICAL CENT(?:ER|RE)|HEALTH CENT(?:ER|RE)|HEALTH SYSTEM|HEALTHCARE|INFIRMARY|NURSING HOME|HOSPICE|CANCER CENTER|UNIVERSITY)\b",
    ),
    pattern(
        Kind::Hospital,
        r"\b(?:Hospital|Clinic|University|Institute)[ \t]+of[ \t]+(?:the[ \t]+)?{CAP}(?:[ \t]+{CAP}){0,3}",
    ),
    pattern(Kind::Hospital, r"\b(?:St\.?|Saint|Mount|Mt\.?)[ \t]+{CAP}(?:'s|’s)\b(?:[ \t]+{CAP}){0,2}"),
];
