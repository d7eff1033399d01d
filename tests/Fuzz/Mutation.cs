using System.Text;

namespace Sluice.Fuzz;

/// <summary>Changes a request at random: a few bytes or words, and sometimes the length of its JSON.</summary>
internal static class Mutation
{
    private static readonly string[] Words =
    [
        "null", "true", "-1", "1e999", "0.1", "\"\"", "[]", "{}", "[[[[", "]", "}", ",", ":", "\\ud800", "\u0000",
        "9223372036854775808", "18446744073709551616", "NaN", "Infinity", "\"INT64\"", "\"BYTES\"", "\"FP16\"",
        "\"data\"", "\"shape\"", "\"parameters\"", "\"classification\"", "\"binary_data_size\"", "\"priority\"",
        "\"timeout\"", "\"in\"", "1000000000000", "\uFEFF", "//", "'", "\"name\"", "\"outputs\"",
        "\"max_tokens\"", "\"messages\"", "\"role\"", "\"content\"", "\"stream\"", "\"$ref\"", "\"\\ud800\"",
    ];

    /// <summary>Returns the changed body, and the value of the header with the length of its JSON.</summary>
    /// <param name="random">The source of the changes.</param>
    /// <param name="head">The JSON.</param>
    /// <param name="tail">The binary data after the JSON.</param>
    public static (byte[] Body, string? Length) Apply(Random random, byte[] head, byte[] tail)
    {
        var json = head.ToList();
        for (var n = random.Next(4); n > 0 && json.Count > 0; n--)
        {
            var at = random.Next(json.Count);
            switch (random.Next(6))
            {
                case 0: json[at] ^= (byte)(1 << random.Next(8)); break;
                case 1: json.RemoveRange(at, Math.Min(json.Count - at, random.Next(1, 12))); break;
                case 2: json.InsertRange(at, Encoding.UTF8.GetBytes(Words[random.Next(Words.Length)])); break;
                case 3: json.InsertRange(at, json.GetRange(random.Next(json.Count / 2), json.Count / 3)); break;
                case 4: json[at] = (byte)random.Next(256); break;
                default:
                    json.InsertRange(at, Enumerable.Repeat((byte)"[{\"1 "[random.Next(5)], random.Next(1, 300)));
                    break;
            }
        }

        var kept = tail.Take(random.Next(8) == 0 ? random.Next(tail.Length + 1) : tail.Length);
        byte[] binary = [.. kept, .. new byte[random.Next(20) == 0 ? random.Next(40) : 0]];
        return ([.. json, .. binary], Length(random, json.Count, tail.Length > 0));
    }

    private static string? Length(Random random, int json, bool hasBinary)
    {
        if (!hasBinary && random.Next(20) > 0) return null;
        return random.Next(12) == 0
            ? new[] { "0", "-1", "abc", "99999999999999999999", $"{random.Next(json + 50)}" }[random.Next(5)]
            : $"{json}";
    }
}
