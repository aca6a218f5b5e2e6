//! What Spanish reports write.

use super::Kind;
use super::rules::{Pattern, pattern};

pub(super) static PATTERNS: &[Pattern] = &[
    // Fields of a form: everything up to the end of the line or the next field.
    pattern(
        Kind::Name,
        r"(?im)^[\u{feff} \t]*(?:nombre(?: del? paciente| y apellidos| completo)?|apellidos?(?: y nombre)?|paciente|primer apellido|segundo apellido|familiar|acompañante|tutor|m[eé]dico(?: responsable)?|facultativo|enfermer[oa]|cirujano|radi[oó]logo|pat[oó]logo)[ \t]*:[ \t]*([^\n:]{2,60}?)[ \t]*\.?[ \t]*(?:$|(?:NºCol|N[º°]|Col|Edad|Sexo|NHC)\b)",
    ),
    pattern(
        Kind::Name,
        r"(?i:\b(?:m[eé]dico(?: responsable)?|facultativo|firmado(?: por)?|fdo\.?|informado por|validado por|remitid[oa] por|derivad[oa] por|responsable(?: cl[ií]nico| m[eé]dico)?|atendid[oa] por|solicitante|autor)[ \t]*[:.]?[ \t]*(?:el |la )?(?:(?:Dr|Dra|Dres|Sr|Sra|Prof|Profa)[.:]?(?:ª|a)?[.:]?[ \t]*)?)({NAME})",
    ),
    pattern(
        Kind::Id,
        r"(?i)\b(?:NHC|CIPA|NASS|NSS|SIP|CIP|TIS|DNI|NIF|NIE|N[º°o]\.?[ \t]?Col(?:egiad[oa])?|colegiad[oa]|n[uú]mero de colegiad[oa]|episodio|n[º°]? ?(?:de )?historia(?: cl[ií]nica)?|historia(?: cl[ií]nica)? n[º°]|HC|n[º°] ?(?:de )?(?:asegurad[oa]|afiliaci[oó]n|registro|expediente|petici[oó]n|muestra|biopsia)|pasaporte|c[eé]dula|id paciente|CURP|RFC|RUT)[ \t]*[.:ºª]*[ \t]*:?[ \t]*((?:nhc-?)?[A-Za-z]{0,4}[ \-]?\d[\dA-Za-z]*(?:[ \-./]*\d[\dA-Za-z]*)*)",
    ),
    pattern(
        Kind::Date,
        r"(?i)\bfecha(?: (?:de|del) [\p{L} ]{3,25})?[ \t]*:[ \t]*(\d[^\n]{3,24}?)[ \t]*(?:\.?[ \t]*$|\.?\n|[ \t]{2}|[;,]|\. )",
    ),
    pattern(Kind::Address, r"(?im)^[ \t]*(?:domicilio|direcci[oó]n|calle)[ \t]*:[ \t]*([^\n]{2,120}?)[ \t]*\.?[ \t]*$"),
    pattern(
        Kind::Place,
        r"(?im)^[ \t]*(?:localidad[ \t]*/?[ \t]*provincia|localidad|provincia|municipio|poblaci[oó]n|ciudad|comunidad aut[oó]noma|lugar de nacimiento|procedencia)[ \t]*:[ \t]*([^\n]{2,80}?)[ \t]*\.?[ \t]*$",
    ),
    pattern(Kind::Place, r"(?i)\b(?:CP|C\.P\.|c[oó]digo postal)[ \t]*[:.]?[ \t]*(\d{4,6}(?:-\d{3})?)\b"),
    // The number of a licence often follows a name without a space.
    pattern(Kind::Id, r"N[º°]\.?[ \t]?Col(?:egiad[oa])?\.?[ \t]*:?[ \t]*(\d[\d \-./]*\d)"),
    pattern(
        Kind::Address,
        r"\bC\.[ \t]*{CAP}(?:[ \t]+{CAP}){0,3}[ \t]*,?[ \t]*(?:nº|n\.º|núm\.?)[ \t]*\d{1,4}(?:[ \t]*\d{1,2}[ºª][ \t]*[A-Z]?)?",
    ),
    // Months in words.
    pattern(
        Kind::Date,
        r"(?i)\b(?:\d{1,2}[ºo]?[ \t]+(?:de[ \t]+)?)?(?:enero|febrero|marzo|abril|mayo|junio|julio|agosto|sep?tiembre|octubre|noviembre|diciembre)(?:[ \t]*,?[ \t]+(?:(?:de|del|del año|de el)[ \t]+)?(?:año[ \t]+)?(?:19|20)\d{2}|[ \t]*[/\-][ \t]*(?:19|20)?\d{2})\b",
    ),
    pattern(
        Kind::Date,
        r"(?i)\b\d{1,2}[ºo]?[ \t]+de[ \t]+(?:enero|febrero|marzo|abril|mayo|junio|julio|agosto|sep?tiembre|octubre|noviembre|diciembre)\b",
    ),
    pattern(
        Kind::Date,
        r"(?i)\b(?:en|desde|hasta|durante|de|del|a|el mes de|finales de|principios de|mediados de)[ \t]+(enero|febrero|marzo|abril|mayo|junio|julio|agosto|sep?tiembre|octubre|noviembre|diciembre)\b",
    ),
    pattern(
        Kind::Date,
        r"(?i)\b(?:en|desde|hasta|durante|del?|a|y|año|años|el|entre|de el)[ \t]+((?:año[ \t]+)?(?:19[0-9]|20[0-4])\d)\b",
    ),
    pattern(Kind::Date, r"\(((?:19[3-9]|20[0-4])\d)\)"),
    pattern(Kind::Date, r"(?i)\b(?:d[ií]a|el)[ \t]+(\d{1,2}/\d{1,2})\b"),
    // Ages.
    pattern(Kind::Age, r"(?i)\b((?:9\d|1[0-3]\d)[ \t]+años)\b"),
    pattern(Kind::Age, r"(?i)\b(?:edad)[ \t]*:[ \t]*(9\d|1[0-3]\d)\b"),
    // People by their titles.
    pattern(
        Kind::Name,
        r"\b(?:Dr|Dra|Dres|Drs|Sr|Sra|Srta|Prof|Profa|Lic|DUE)\b(?:[.:]|\.?[ªa]\.?|\.:)?[ \t]*({NAME})",
    ),
    pattern(Kind::Name, r"\b(?:Don|Doña|D\.ª|D\.[ªa]?|Dª\.?|Dña\.?)[ \t]+({NAME})"),
    pattern(Kind::Name, r"\b(?:DR|DRA|SR|SRA|DOCTOR|DOCTORA)\b\.?[ \t]+({NAME})"),
    pattern(Kind::Name, r"\b(?:doctor|doctora|señor|señora|señorita)[ \t]+({NAME})"),
    pattern(Kind::Name, r"(?i:\b(?:llamad[oa]|se llama|de nombre)[ \t]+)({NAME})"),
    // Addresses.
    pattern(
        Kind::Address,
        r"(?i:\b(?:calle|avda?\.?|avenida|av\.|avinguda|plaza|plaça|pza\.?|pl\.|paseo|passeig|p[ºo]\.|ronda|carretera|ctra\.?|camino|travesía|travessera|callej[oó]n|gran v[ií]a|glorieta|urbanizaci[oó]n|urb\.|barrio|pol[ií]gono|rambla|r[uú]a|cra\.?|carrera|apartado(?: de correos)?)[ \t]*)(?:(?:(?:de|del|la|las|los|el|en|y|i)[ \t]+)*[\p{Lu}\d][\p{L}\p{M}.'’\-]*(?:[ \t]+(?:(?:de|del|la|las|los|y|i|d'|d’)[ \t]+)*[\p{Lu}\d][\p{L}\p{M}.'’\-]*){0,6}(?:[ \t]*,?[ \t]*(?:n[ºo°]?\.?|núm\.?|num\.?|no|#)?[ \t]*(?:\d{1,4}[\p{L}]?(?:[ \-]\d{1,3}[a-z]?)*|s/n))?(?:[ \t]*[,\-][ \t]*(?:\d{1,2}[ºª°]?[.]?[ \t]*[\p{L}ºª°]{0,5}|[A-Z]\b|esc\.?[ \t]*\d+|bajo|piso[ \t]*\d+|portal[ \t]*\d+|P\d[ \t]*-?[ \t]*\d?[A-Z]?)){0,4})",
    ),
    // "c/ 8 h" is a dose.
    pattern(
        Kind::Address,
        r"(?i:\bc/[ \t]*)(?:(?:(?:de|del|la|las|los|el|en|y|i)[ \t]+)*\p{Lu}[\p{L}\p{M}.'’\-]*(?:[ \t]+(?:(?:de|del|la|las|los|y|i|d'|d’)[ \t]+)*[\p{Lu}\d][\p{L}\p{M}.'’\-]*){0,6}(?:[ \t]*,?[ \t]*(?:n[ºo°]?\.?|núm\.?|num\.?|no|#)?[ \t]*(?:\d{1,4}[\p{L}]?(?:[ \-]\d{1,3}[a-z]?)*|s/n))?(?:[ \t]*[,\-][ \t]*(?:\d{1,2}[ºª°]?[.]?[ \t]*[\p{L}ºª°]{0,5}|[A-Z]\b|esc\.?[ \t]*\d+|bajo|piso[ \t]*\d+|portal[ \t]*\d+|P\d[ \t]*-?[ \t]*\d?[A-Z]?)){0,4})",
    ),
    pattern(
        Kind::Address,
        r"\b((?:\p{Lu}[\p{L}\p{M}.'’\-]+[ \t]+(?:(?:de|del|la|las|los|y)[ \t]+)*){0,4}\p{Lu}[\p{L}\p{M}.'’\-]+[ \t]*,?[ \t]*(?:\d{1,4}(?:-\d{1,4})?|s/n))[ \t]*[.,\-]*[ \t]*(?:E-|CP:?[ \t]*)?\d{5}\b",
    ),
    pattern(Kind::Place, r"\b(?:E-|CP:?[ \t]*)?(\d{5})[ \t]*[.,\-]?[ \t]*(?:\p{Lu}|$)"),
    pattern(
        Kind::Place,
        r"\b(?:E-|CP:?[ \t]*)?\d{5}[ \t]*[.,\-]?[ \t]*(\p{Lu}[\p{L}\p{M}'’\-]+(?:[ \t]+(?:(?:de|del|la|las|los)[ \t]+)*\p{Lu}[\p{L}\p{M}'’\-]+){0,3})",
    ),
    pattern(
        Kind::Place,
        r"(?i:\b(?:natural|procedente|vecin[oa]|residente|reside|vive|oriund[oa]|nacid[oa])[ \t]+(?:de|en)[ \t]+)({NAME})",
    ),
    pattern(
        Kind::Hospital,
        r"\b(?:Hospital|Hosp\.|H\.|Cl[ií]nica|Centro M[eé]dico|Centro de (?:Salud|Especialidades|Atención Primaria)|C\.S\.|Complejo (?:Hospitalario|Asistencial)|Complexo Hospitalario|Fundaci[oóò]n?|Instituto|Institut|Policl[ií]nica|Sanatorio|Residencia|Ambulatorio|Consultorio|Consorci(?:o)?|Corporaci[oó]n?|Universidad|Universitat|Facultad)[ \t]+(?:(?:de|del|la|las|los|el|y|i|-|–)[ \t]+)*{CAP}(?:[ \t]+(?:(?:de|del|la|las|los|el|y|i|-|–|d'|d’)[ \t]+)*{CAP}){0,7}",
    ),
    pattern(Kind::Phone, r"\b[6789]\d{2}(?:[ .\-]\d{2}){3}\b"),
    pattern(Kind::Phone, r"\b[6789]\d{2}[ .\-]\d{3}[ .\-]\d{3}\b"),
    pattern(Kind::Phone, r"\b9\d[ .\-]\d{3}[ .\-]\d{2}[ .\-]\d{2}\b"),
];
