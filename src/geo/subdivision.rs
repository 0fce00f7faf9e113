//! Subdivisions by name: some databases spell out `California` where rules say `US-CA` (ISO 3166-2).
//!
//! Only the large countries, where a country's centre says little about where its users are. A name that is not here has no code, which
//! means that rules about subdivisions do not see it; people are told it all the same.

use super::record::Code;

/// The ISO 3166-2 code of a country's part, from the part's code (`CA`), the whole (`US-CA`) or, in large countries, its English name.
pub(super) fn subdivision_code(country: Code, part: &str) -> Option<Box<str>> {
    let code = part.strip_prefix(country.as_str()).and_then(|rest| rest.strip_prefix('-')).unwrap_or(part);
    let is_code = (1..=3).contains(&code.len()) && code.bytes().all(|octet| octet.is_ascii_uppercase() || octet.is_ascii_digit());
    let code = if is_code { code } else { code_of_name(country, part)? };
    Some(format!("{country}-{code}").into())
}

/// The code of the part with this name.
fn code_of_name(country: Code, name: &str) -> Option<&'static str> {
    let (_, parts) = NAMES.iter().find(|(code, _)| *code == country.as_str())?;
    parts.split('|').find_map(|part| part.split_once(' ').filter(|(_, known)| known.eq_ignore_ascii_case(name)).map(|(code, _)| code))
}

/// For each country, `code name` of its parts; another spelling is another entry.
const NAMES: &[(&str, &str)] = &[
    (
        "US",
        "AL Alabama|AK Alaska|AZ Arizona|AR Arkansas|CA California|CO Colorado|CT Connecticut|DE Delaware|DC District of Columbia|\
         DC Washington, D.C.|FL Florida|GA Georgia|HI Hawaii|ID Idaho|IL Illinois|IN Indiana|IA Iowa|KS Kansas|KY Kentucky|LA Louisiana|ME Maine|\
         MD Maryland|MA Massachusetts|MI Michigan|MN Minnesota|MS Mississippi|MO Missouri|MT Montana|NE Nebraska|NV Nevada|NH New Hampshire|\
         NJ New Jersey|NM New Mexico|NY New York|NC North Carolina|ND North Dakota|OH Ohio|OK Oklahoma|OR Oregon|PA Pennsylvania|RI Rhode Island|\
         SC South Carolina|SD South Dakota|TN Tennessee|TX Texas|UT Utah|VT Vermont|VA Virginia|WA Washington|WV West Virginia|WI Wisconsin|WY Wyoming",
    ),
    (
        "CA",
        "AB Alberta|BC British Columbia|MB Manitoba|NB New Brunswick|NL Newfoundland and Labrador|NS Nova Scotia|NT Northwest Territories|NU Nunavut|\
         ON Ontario|PE Prince Edward Island|QC Quebec|QC Québec|SK Saskatchewan|YT Yukon",
    ),
    (
        "AU",
        "ACT Australian Capital Territory|ACT ACT|NSW New South Wales|NT Northern Territory|QLD Queensland|SA South Australia|TAS Tasmania|VIC Victoria|\
         WA Western Australia",
    ),
    (
        "BR",
        "AC Acre|AL Alagoas|AP Amapa|AP Amapá|AM Amazonas|BA Bahia|CE Ceara|CE Ceará|DF Distrito Federal|DF Federal District|ES Espirito Santo|\
         ES Espírito Santo|GO Goias|GO Goiás|MA Maranhao|MA Maranhão|MT Mato Grosso|MS Mato Grosso do Sul|MG Minas Gerais|PA Para|PA Pará|PB Paraiba|\
         PB Paraíba|PR Parana|PR Paraná|PE Pernambuco|PI Piaui|PI Piauí|RJ Rio de Janeiro|RN Rio Grande do Norte|RS Rio Grande do Sul|RO Rondonia|\
         RO Rondônia|RR Roraima|SC Santa Catarina|SP Sao Paulo|SP São Paulo|SE Sergipe|TO Tocantins",
    ),
    (
        "IN",
        "AN Andaman and Nicobar Islands|AN Andaman and Nicobar|AP Andhra Pradesh|AR Arunachal Pradesh|AS Assam|BR Bihar|CH Chandigarh|CG Chhattisgarh|\
         DH Dadra and Nagar Haveli and Daman and Diu|DL Delhi|GA Goa|GJ Gujarat|HR Haryana|HP Himachal Pradesh|JK Jammu and Kashmir|JH Jharkhand|\
         KA Karnataka|KL Kerala|LA Ladakh|LD Lakshadweep|MP Madhya Pradesh|MH Maharashtra|MN Manipur|ML Meghalaya|MZ Mizoram|NL Nagaland|OD Odisha|\
         PY Puducherry|PB Punjab|RJ Rajasthan|SK Sikkim|TN Tamil Nadu|TS Telangana|TR Tripura|UP Uttar Pradesh|UK Uttarakhand|WB West Bengal",
    ),
    (
        "RU",
        "AD Adygeya Republic|AD Adygea|AL Altai|AL Altai Republic|ALT Altay Kray|ALT Altai Krai|AMU Amur Oblast|ARK Arkhangelskaya|\
         ARK Arkhangelsk Oblast|AST Astrakhan Oblast|AST Astrakhan|BA Bashkortostan Republic|BA Bashkortostan|BEL Belgorod Oblast|\
         BRY Bryansk Oblast|BU Buryatiya Republic|BU Buryatia|CE Chechnya|CHE Chelyabinsk|CHE Chelyabinsk Oblast|CHU Chukotka|\
         CU Chuvash Republic|CU Chuvashia|DA Dagestan|IN Ingushetiya Republic|IN Ingushetia|IRK Irkutsk Oblast|IVA Ivanovo Oblast|IVA Ivanovo|\
         KAM Kamchatka|KB Kabardino-Balkariya Republic|KB Kabardino-Balkaria|KC Karachayevo-Cherkesiya Republic|KC Karachay-Cherkessia|\
         KDA Krasnodar Krai|KDA Krasnodarskiy|KEM Kuzbass|KEM Kemerovo Oblast|KGD Kaliningrad Oblast|KGD Kaliningrad|KGN Kurgan Oblast|\
         KHA Khabarovsk|KHA Khabarovsk Krai|KHM Khanty-Mansia|KIR Kirov Oblast|KIR Kirov|KK Khakasiya Republic|KK Khakassia|\
         KL Kalmykiya Republic|KL Kalmykia|KLU Kaluga Oblast|KLU Kaluga|KO Komi|KO Komi Republic|KOS Kostroma Oblast|KR Karelia|\
         KRS Kursk Oblast|KRS Kursk|KYA Krasnoyarsk Krai|KYA Krasnoyarskiy|LEN Leningradskaya Oblast'|LEN Leningrad Oblast|LIP Lipetsk Oblast|\
         MAG Magadan Oblast|ME Mariy-El Republic|ME Mari El|MO Mordoviya Republic|MO Mordovia|MOS Moscow Oblast|MOW Moscow|MUR Murmansk|\
         MUR Murmansk Oblast|NEN Nenets|NGR Novgorod Oblast|NIZ Nizhny Novgorod Oblast|NVS Novosibirsk Oblast|OMS Omsk Oblast|OMS Omsk|\
         ORE Orenburg Oblast|ORL Oryol oblast|ORL Orel Oblast|PER Perm Krai|PER Perm|PNZ Penza Oblast|PNZ Penza|PRI Primorye|\
         PRI Primorskiy (Maritime) Kray|PSK Pskov Oblast|ROS Rostov|ROS Rostov Oblast|RYA Ryazan Oblast|SA Sakha|SAK Sakhalin Oblast|\
         SAM Samara Oblast|SAR Saratov Oblast|SAR Saratovskaya Oblast|SE North Ossetia|SE North Ossetia–Alania|SMO Smolensk Oblast|\
         SMO Smolenskaya Oblast’|SMO Smolensk|SPE St.-Petersburg|SPE Saint Petersburg|STA Stavropol Kray|STA Stavropol’ Kray|STA Stavropol Krai|\
         SVE Sverdlovsk Oblast|SVE Sverdlovsk|TA Tatarstan Republic|TA Tatarstan|TAM Tambov Oblast|TAM Tambov|TOM Tomsk Oblast|TUL Tula Oblast|\
         TUL Tula|TVE Tver Oblast|TVE Tver’ Oblast|TY Tyva Republic|TY Tuva|TYU Tyumen Oblast|TYU Tyumen’ Oblast|UD Udmurtiya Republic|\
         UD Udmurtia|ULY Ulyanovsk|ULY Ulyanovsk Oblast|VGG Volgograd Oblast|VLA Vladimir Oblast|VLA Vladimir|VLG Vologda Oblast|VLG Vologda|\
         VOR Voronezh Oblast|VOR Voronezj|YAN Yamalo-Nenets|YAR Yaroslavl Oblast|YAR Jaroslavl|YEV Jewish Autonomous Oblast|\
         ZAB Zabaykalskiy (Transbaikal) Kray|ZAB Transbaikal Territory|ZAB Zabaykalsky Krai",
    ),
    (
        "CN",
        "AH Anhui|BJ Beijing|CQ Chongqing|FJ Fujian|GS Gansu|GD Guangdong|GX Guangxi|GZ Guizhou|HI Hainan|HE Hebei|HL Heilongjiang|HA Henan|HB Hubei|\
         HN Hunan|NM Inner Mongolia|JS Jiangsu|JX Jiangxi|JL Jilin|LN Liaoning|NX Ningxia|QH Qinghai|SN Shaanxi|SD Shandong|SH Shanghai|SX Shanxi|\
         SC Sichuan|TJ Tianjin|XJ Xinjiang|XZ Tibet|YN Yunnan|ZJ Zhejiang",
    ),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_names_come_to_the_same() {
        let of = |country: &str, part: &str| subdivision_code(Code::parse(country).unwrap(), part);
        for part in ["CA", "US-CA", "California"] {
            assert_eq!(of("US", part).as_deref(), Some("US-CA"), "{part}");
        }
        assert_eq!(of("DE", "Bayern"), None, "only large countries' names are known");
        assert_eq!(of("AU", "New South Wales").as_deref(), Some("AU-NSW"));
        assert_eq!(of("BR", "São Paulo").as_deref(), Some("BR-SP"));
    }

    #[test]
    fn every_name_has_a_code() {
        for (country, parts) in NAMES {
            for part in parts.split('|') {
                let (code, name) = part.split_once(' ').unwrap();
                assert!((2..=3).contains(&code.len()) && !name.is_empty() && name.trim() == name, "{country} {part:?}");
            }
        }
    }
}
