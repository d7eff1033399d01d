using System.Globalization;
using System.Text;

namespace Sluice.Worker.Tests.Tokenization;

/// <summary>
/// Texts that tokenizers are compared on: sentences in 24 scripts, texts of random characters of 40 ranges, and texts
/// that tokenizers often get wrong. The same for every run.
/// </summary>
public static class TokenizerTexts
{
    private const int Seed = 20261129;

    private static readonly string[] Sentences =
    [
        "The quick brown fox jumps over the lazy dog, doesn't it? They'll say: \"We've seen 1,234.56 of them!\"",
        "Zażółć gęślą jaźń. L'été à Noël, où naîtra l'œuvre; ¿Qué pasó, señor? Straße, Größe, ÅNGSTRÖM, "
            + "İstanbul, ſpaß.",
        "Съешь же ещё этих мягких французских булок, да выпей чаю. Їжак, ґанок, Ђорђе.",
        "Ξεσκεπάζω την ψυχοφθόρα βδελυγμία. Ἐν ἀρχῇ ἦν ὁ λόγος, ΣΟΦΟΣ σοφός.",
        "זה כיף סתם לשמוע איך תנצח קרפד עץ טוב בגן. בְּרֵאשִׁית בָּרָא אֱלֹהִים",
        "نص حكيم له سر قاطع وذو شأن عظيم مكتوب على ثوب أخضر. بِسْمِ ٱللَّٰهِ ٱلرَّحْمَٰنِ ٣٫١٤",
        "ऋषियों को सताने वाले दुष्ट राक्षसों के राजा रावण का सर्वनाश करने वाले विष्णु। १२३ क़ ज़",
        "আমি বাংলায় গান গাই। তোমার নাম কী? ৪৫৬ টাকা।",
        "யாமறிந்த மொழிகளிலே தமிழ்மொழி போல் இனிதாவது எங்கும் காணோம்; ௧௨௩",
        "తెలుగు భాష చాలా అందమైనది. మీరు ఎలా ఉన్నారు?",
        "ಕನ್ನಡ ನಾಡು ನುಡಿ ಚೆಂದ. ನೀವು ಹೇಗಿದ್ದೀರಿ?",
        "മലയാളം എന്റെ മാതൃഭാഷയാണ്. സുഖമാണോ?",
        "ગુજરાતી ભાષા મીઠી છે. તમે કેમ છો?",
        "ਪੰਜਾਬੀ ਬੋਲੀ ਮਿੱਠੀ ਹੈ। ਕੀ ਹਾਲ ਹੈ?",
        "සිංහල අකුරු ලස්සනයි. ඔබට කොහොමද?",
        "เป็นมนุษย์สุดประเสริฐเลิศคุณค่า กว่าบรรดาฝูงสัตว์เดรัจฉาน ๑๒๓",
        "ສະບາຍດີ ຂ້ອຍຮຽນພາສາລາວ",
        "မြန်မာဘာသာစကားကို ကျွန်တော် လေ့လာနေပါတယ်။",
        "ខ្ញុំចូលចិត្តភាសាខ្មែរ។ តើអ្នកសុខសប្បាយទេ?",
        "བོད་སྐད་ནི་སྙན་པོ་ཡིན། བཀྲ་ཤིས་བདེ་ལེགས།",
        "ქართული ენა ლამაზია. როგორ ხარ? ᲥᲐᲠᲗᲣᲚᲘ",
        "Հայերենը գեղեցիկ լեզու է։ Ինչպե՞ս ես։",
        "ሰላም ለዓለም። እንዴት ነህ፤ ደህና ነኝ።",
        "我能吞下玻璃而不伤身体。繁體中文測試，「引號」與《書名》；一二三 𠮷野家 𠀀𠀁𪚥",
        "いろはにほへと ちりぬるを。カタカナ、ﾊﾝｶｸ、ｱｲｳ！ 東京タワーは333メートルです。が゛ば",
        "키스의 고유조건은 입술끼리 만나야 하고 특별한 기술은 필요치 않다. ㄱㄴㄷ 각 가",
        "ᠮᠣᠩᠭᠣᠯ ᠪᠢᠴᠢᠭ. ᏣᎳᎩ ᎦᏬᏂᎯᏍᏗ. ᐃᓄᒃᑎᑐᑦ. ⵜⴰⵎⴰⵣⵉⵖⵜ. ߒߞߏ.",
    ];

    private static readonly string[] Special =
    [
        "", " ", "  ", "\n", "\r\n", "\t", "\0", "a\0b\0\0c", " \n \r\n\t\n  x", "x   ", "   x   y",
        "\u00A0x\u2003y\u3000z",
        "line one\r\nline two\r\n\r\nline four\n\n\n\nend",
        "tab\tand\vvertical\fform\u0085next\u2028line\u2029paragraph",
        "👍🏽👩‍👩‍👧‍👦🇩🇪🇺🇸🏴󠁧󠁢󠁥󠁮󠁧󠁿❤️‍🔥 ☃️ 1️⃣ #️⃣ 👨🏿‍🚀",
        "𝕳𝖊𝖑𝖑𝖔 𝟘𝟙𝟚𝟛 𝒜𝓁𝓅𝒽𝒶 𐐀𐐨 𐌰𐌱 𝄞 🀄 𓀀𓂀 𒀀",
        "e\u0301 é a\u0308\u0323 ạ̈ \u0301start Z̸̢̛a̷l̴g̵o̶ ǟ ﬁ ﬂ ½ ² ℌ Å Å K",
        "\u200Bzero\u200Cwidth\u200Djoin\uFEFFbom\u00ADsoft\u2060",
        "\u202Ertl override\u202C \u2066isolate\u2069 abc אבג def ערב 123 عربي xyz",
        "'s 'S 'ſ 't 'RE 've 'Ll 'd don'T I'M he'sx ''s",
        "def f(x: int) -> str:\n    \"\"\"Doc.\"\"\"\n    return f'{x!r:>{10}}'  # ok\n\n\nif __name__ == "
            + "'__main__':\n\tprint(f(1))\n",
        "for (int i = 0; i < n; ++i) { a[i] += b[i] * 0x7FFF; } // \\n\\t \\\\ <html><body class=\"x\">&amp;</bod"
            + "y></html>",
        "{\"a\": [1, 2.5e-10, null, true], \"b\": {\"c\": \"\\u00e9\"}}",
        "https://example.org/a/b?c=d&e=%20f#g user@example.org ~/x/../y",
        "0 1 12 123 1234 12345 1234567890 3.14159 1,000,000 ١٢٣٤ १२३४ ⅷ Ⅳ ⑩ ㉈ 五十",
        "!!! ??? ... --- === ### @@@ $$$ %%% ^^^ &&& *** ((())) [[[]]] {{{}}} <<<>>>",
        "SCREAMING_SNAKE camelCase PascalCaseWord kebab-case HTTPServer2Go iPhone15ProMax",
        "a.b,c;d:e/f\\g|h_i~j`k'l\"m",
        "\u0000\u0001\u0002\u0007\u001B[31mred\u001B[0m\u007F\u0080\u009F",
        "\uFFFD\uFFFE\uFFFF\uE000\uF8FF\U000F0000\U0010FFFF", "ǅ ǈ ǋ ᾈ ﬀ ﬃ ẞ ŉ ǰ ΐ",
        "<s> </s> <unk> <pad> [CLS] [SEP] [MASK] [UNK] [PAD] <0x0A> <0xE2> ▁x ▁▁ Ġx Ċ",
        "a<|im_start|>b <|eot_id|> <|end|><think>x</think> <bos><eos>",
        "<start_of_turn>user\nhi<end_of_turn>\n<｜User｜>q<｜Assistant｜>a<｜end▁of▁sentence｜> <|begin_of_text|> "
            + " <tool_call>\n{}</tool_call>",
    ];

    /// <summary>First and last character of ranges.</summary>
    private static readonly (int First, int Last)[] Ranges =
    [
        (0x20, 0x7E), (0xA0, 0x24F), (0x250, 0x2FF), (0x300, 0x36F), (0x370, 0x3FF), (0x400, 0x52F), (0x531, 0x58F),
        (0x591, 0x5F4), (0x600, 0x6FF), (0x700, 0x74F), (0x780, 0x7B1), (0x900, 0x97F), (0x980, 0x9FE), (0xA01, 0xA76),
        (0xA81, 0xAF1), (0xB01, 0xB77), (0xB82, 0xBFA), (0xC00, 0xC7F), (0xC80, 0xCF2), (0xD00, 0xD7F), (0xD81, 0xDF4),
        (0xE01, 0xE5B), (0xE81, 0xEDF), (0xF00, 0xFDA), (0x1000, 0x109F), (0x10A0, 0x10FF), (0x1100, 0x11FF),
        (0x1200, 0x139F), (0x13A0, 0x13FF), (0x1400, 0x167F), (0x1780, 0x17F9), (0x1800, 0x18AA), (0x1E00, 0x1FFF),
        (0x2000, 0x206F), (0x2070, 0x218F), (0x2190, 0x27FF), (0x3000, 0x30FF), (0x4E00, 0x9FFF), (0xAC00, 0xD7A3),
        (0xF900, 0xFAD9), (0xFB00, 0xFDFF), (0xFE20, 0xFFEF), (0x10300, 0x1034A), (0x10400, 0x104FF),
        (0x12000, 0x12399), (0x1D400, 0x1D7FF), (0x1F300, 0x1FAFF), (0x20000, 0x2A6DF),
    ];

    /// <summary>Returns the texts.</summary>
    public static IReadOnlyList<string> Create()
    {
        var random = new Random(Seed);
        var texts = new List<string>(Sentences);
        texts.AddRange(Special);
        string[] units = ["a", " ", "\n", "=", "ab", "a ", "é", "語", "👍", "\r\n", "1", "\u0301", "한", " \n"];
        foreach (var unit in units)
            foreach (var count in new[] { 31, 500, 5000 })
                texts.Add(string.Concat(Enumerable.Repeat(unit, count / unit.Length)));
        foreach (var range in Ranges)
            for (var i = 0; i < 30; i++) texts.Add(Words(random, [range]));
        for (var i = 0; i < 400; i++)
        {
            var ranges = Enumerable.Range(0, 4).Select(_ => Ranges[random.Next(Ranges.Length)]);
            texts.Add(Words(random, [.. ranges, (0x20, 0x7E)]));
        }

        for (var i = 0; i < 500; i++) texts.Add(Mixed(random));
        return texts;
    }

    private static string Words(Random random, (int First, int Last)[] ranges)
    {
        var text = new StringBuilder();
        for (var words = random.Next(1, 30); words > 0; words--)
        {
            var (first, last) = ranges[random.Next(ranges.Length)];
            for (var length = random.Next(1, 12); length > 0; length--)
            {
                var rune = new Rune(random.Next(first, last + 1));
                if (Rune.GetUnicodeCategory(rune) != UnicodeCategory.OtherNotAssigned) text.Append(rune.ToString());
            }

            text.Append(random.Next(12) switch
            {
                0 => "  ", 1 => "\n", 2 => ", ", 3 => "", 4 => "\r\n\r\n", 5 => "\t", 6 => ".", _ => " ",
            });
        }

        return text.ToString();
    }

    /// <summary>Returns parts of sentences and special texts, cut at any character.</summary>
    private static string Mixed(Random random)
    {
        var text = new StringBuilder();
        for (var parts = random.Next(2, 6); parts > 0; parts--)
        {
            var sources = random.Next(3) == 0 ? Special : Sentences;
            var source = sources[random.Next(sources.Length)];
            var runes = source.EnumerateRunes().ToList();
            var start = random.Next(runes.Count + 1);
            foreach (var rune in runes.Skip(start).Take(random.Next(1, 60))) text.Append(rune.ToString());
            if (random.Next(3) == 0) text.Append(random.Next(100000).ToString(CultureInfo.InvariantCulture));
        }

        return text.ToString();
    }
}
