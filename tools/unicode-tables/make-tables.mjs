// Writes src/OnnxSteer.Tokenizers/Unicode/tables.txt: the Unicode data that the tokenizers need and .NET's invariant mode has not.
// Usage: node make-tables.mjs unicode_classes.json > tables.txt
// Scripts and properties come from node's own Unicode (17), normalization and folding from Perl's (14), the classes of older
// tables from a list of what the reference library was seen to do. One fact a line, numbers hexadecimal.
import { readFileSync } from "node:fs";
import { execFileSync } from "node:child_process";
import { dirname, join } from "node:path";
import { fileURLToPath } from "node:url";

const scripts = `Adlam Ahom Anatolian_Hieroglyphs Arabic Armenian Avestan Balinese Bamum Bassa_Vah Batak Bengali Bhaiksuki Bopomofo Brahmi Braille
Buginese Buhid Canadian_Aboriginal Carian Caucasian_Albanian Chakma Cham Cherokee Chorasmian Common Coptic Cuneiform Cypriot Cypro_Minoan Cyrillic
Deseret Devanagari Dives_Akuru Dogra Duployan Egyptian_Hieroglyphs Elbasan Elymaic Ethiopic Georgian Glagolitic Gothic Grantha Greek Gujarati
Gunjala_Gondi Gurmukhi Han Hangul Hanifi_Rohingya Hanunoo Hatran Hebrew Hiragana Imperial_Aramaic Inherited Inscriptional_Pahlavi
Inscriptional_Parthian Javanese Kaithi Kannada Katakana Kawi Kayah_Li Kharoshthi Khitan_Small_Script Khmer Khojki Khudawadi Lao Latin Lepcha Limbu
Linear_A Linear_B Lisu Lycian Lydian Mahajani Makasar Malayalam Mandaic Manichaean Marchen Masaram_Gondi Medefaidrin Meetei_Mayek Mende_Kikakui
Meroitic_Cursive Meroitic_Hieroglyphs Miao Modi Mongolian Mro Multani Myanmar Nabataean Nag_Mundari Nandinagari New_Tai_Lue Newa Nko Nushu
Nyiakeng_Puachue_Hmong Ogham Ol_Chiki Old_Hungarian Old_Italic Old_North_Arabian Old_Permic Old_Persian Old_Sogdian Old_South_Arabian Old_Turkic
Old_Uyghur Oriya Osage Osmanya Pahawh_Hmong Palmyrene Pau_Cin_Hau Phags_Pa Phoenician Psalter_Pahlavi Rejang Runic Samaritan Saurashtra Sharada
Shavian Siddham SignWriting Sinhala Sogdian Sora_Sompeng Soyombo Sundanese Syloti_Nagri Syriac Tagalog Tagbanwa Tai_Le Tai_Tham Tai_Viet Takri
Tamil Tangsa Tangut Telugu Thaana Thai Tibetan Tifinagh Tirhuta Toto Ugaritic Vai Vithkuqi Wancho Warang_Citi Yezidi Yi Zanabazar_Square`
  .split(/\s+/);
const properties = ["Alphabetic", "Uppercase", "Lowercase", "Ideographic", "Emoji", "Emoji_Presentation", "Emoji_Modifier",
  "Emoji_Modifier_Base", "Emoji_Component", "Extended_Pictographic"];
const older = {
  "punctuation (Punctuation)": "Punctuation_Older",
  "removed by StripAccents": "Mark_Older",
  "removed by BertNormalizer clean_text": "Removed_By_Bert",
  "removed by BertNormalizer strip_accents": "Nonspacing_Mark_Older",
};

const hex = number => number.toString(16).toUpperCase();
const range = (first, last) => first === last ? hex(first) : `${hex(first)}-${hex(last)}`;
function ranges(contains) {
  const found = [];
  let first = -1;
  for (let code = 0; code <= 0x110000; code++) {
    const inside = code < 0x110000 && (code < 0xd800 || code > 0xdfff) && contains(String.fromCodePoint(code));
    if (inside && first < 0) first = code;
    if (!inside && first >= 0) found.push(range(first, code - 1)), first = -1;
  }
  return found.join(" ");
}
for (const script of scripts) {
  const regex = new RegExp(`^\\p{Script=${script}}$`, "u");
  console.log("script", script, ranges(c => regex.test(c)));
}
for (const property of properties) {
  const regex = new RegExp(`^\\p{${property}}$`, "u");
  console.log("property", property, ranges(c => regex.test(c)));
}
const seen = JSON.parse(readFileSync(process.argv[2], "utf8"));
for (const [name, short] of Object.entries(older)) {
  const bounds = seen.char[name];
  console.log("property", short, bounds.flatMap((first, i) => i % 2 ? [] : [range(first, bounds[i + 1])]).join(" "));
}
// The reference decomposes with a table older than Unicode 14.
const newer = new Set();
const differing = seen.normalization_differs_from_unicode_14.NFKD;
for (let i = 0; i < differing.length; i += 2) for (let code = differing[i]; code <= differing[i + 1]; code++) newer.add(hex(code));
const perl = execFileSync("perl", [join(dirname(fileURLToPath(import.meta.url)), "normalization.pl")], { maxBuffer: 1 << 26 }).toString();
for (const line of perl.trim().split("\n"))
  if (!/^(compatible|composed|decomposed)/.test(line) || !newer.has(line.split(" ")[1])) console.log(line);
