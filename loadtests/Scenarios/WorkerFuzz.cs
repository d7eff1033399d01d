using System.Collections.Concurrent;
using System.Globalization;
using System.Text;
using Sluice.Testing;

namespace Sluice.Scenarios;

/// <summary>
/// Mutated requests at the real worker, JSON and binary: none may crash it, none may be answered with a 500, and its
/// memory must stay where it was. What is answered with a 500 is written down, with its seed.
/// </summary>
public static class WorkerFuzz
{
    private const int Callers = 16;

    private static readonly string[] Words =
    [
        "null", "true", "-1", "1e999", "0.1", "\"\"", "[]", "{}", "[[[[", "]", "}", ",", ":", "\\ud800", "\u0000", "9223372036854775808", "18446744073709551616",
        "NaN", "Infinity", "\"INT64\"", "\"BYTES\"", "\"FP16\"", "\"data\"", "\"shape\"", "\"parameters\"", "\"classification\"", "\"binary_data_size\"",
        "\"priority\"", "\"timeout\"", "\"in\"", "1000000000000", "\uFEFF", "//", "'", "\"name\"", "\"outputs\"",
    ];

    public static async Task<string> RunAsync(long requests, int seed, CancellationToken ct)
    {
        var repository = Directory.CreateTempSubdirectory("sluice-fuzz-").FullName;
        foreach (var type in TinyModel.ElementTypes.Keys) TinyModel.Put(repository, "id-" + type, TinyModel.Identity(type, -1, 2));
        TinyModel.Put(repository, "add", TinyModel.Add("FP32", -1, 2));
        TinyModel.Put(repository, "lookup", TinyModel.Lookup());
        await using var worker = await WorkerProcess.StartAsync(repository, new Dictionary<string, string?> { ["SLUICE_MAX_BODY_BYTES"] = "1048576" });
        var (sent, statuses, wrong) = (0L, new ConcurrentDictionary<int, long>(), new ConcurrentQueue<string>());
        var memory = new List<double>();
        var seeds = Seeds();
        await Task.WhenAll(Enumerable.Range(0, Callers).Select(c => Task.Run(async () =>
        {
            var random = new Random(seed + c);
            while (Interlocked.Increment(ref sent) is var n && n <= requests)
            {
                var (path, head, tail) = seeds[random.Next(seeds.Count)];
                var (body, length) = Mutate(random, head, tail);
                using var content = new ByteArrayContent(body);
                if (length is not null) content.Headers.TryAddWithoutValidation("Inference-Header-Content-Length", length);
                using var answer = await worker.Client.PostAsync(path, content, ct);
                statuses.AddOrUpdate((int)answer.StatusCode, 1, (_, k) => k + 1);
                if ((int)answer.StatusCode == 500 && wrong.Count < 20)
                    wrong.Enqueue($"{path} {length}: {Convert.ToBase64String(body)}: {await answer.Content.ReadAsStringAsync(ct)}");
                if (n % Math.Max(1, requests / 10) == 0)
                    lock (memory) memory.Add(MemoryMiB(worker));
            }
        }, ct)));
        var crashed = worker.Process.HasExited;
        var text = new StringBuilder(string.Create(CultureInfo.InvariantCulture, $"Seed {seed}, {requests:n0} requests by {Callers} callers.\n\n| | |\n|---|---|\n"));
        text.AppendLine(CultureInfo.InvariantCulture, $"| the worker's process | {(crashed ? "**ended**" : "lives")} |");
        foreach (var (status, count) in statuses.OrderBy(s => s.Key)) text.AppendLine(CultureInfo.InvariantCulture, $"| answers {status} | {count:n0} |");
        text.AppendLine(CultureInfo.InvariantCulture, $"| **answers 500** | **{statuses.GetValueOrDefault(500):n0}** |");
        text.AppendLine($"| its memory at each tenth, MiB | {string.Join(", ", memory.Select(m => m.ToString("0", CultureInfo.InvariantCulture)))} |");
        foreach (var request in wrong) text.AppendLine().AppendLine(request);
        Directory.Delete(repository, recursive: true);
        return text.ToString();
    }

    private static double MemoryMiB(WorkerProcess worker) => File.ReadLines($"/proc/{worker.Process.Id}/status")
        .Where(l => l.StartsWith("VmRSS:", StringComparison.Ordinal)).Select(l => double.Parse(l[6..^2].Trim(), CultureInfo.InvariantCulture) / 1024).Single();

    private static List<(string Path, byte[] Head, byte[] Tail)> Seeds()
    {
        var seeds = new List<(string, byte[], byte[])>();
        foreach (var type in TinyModel.ElementTypes.Keys)
        {
            var data = type switch { "BOOL" => "[true,false]", "BYTES" => "[\"a\",\"b\"]", _ => "[[1,2]]" };
            var size = type switch
            {
                "BOOL" or "INT8" or "UINT8" => 2, "INT16" or "UINT16" or "FP16" or "BF16" => 4, "FP64" or "INT64" or "UINT64" => 16, "BYTES" => 10, _ => 8,
            };
            byte[] raw = type == "BYTES" ? [1, 0, 0, 0, 65, 1, 0, 0, 0, 66] : new byte[size];
            var path = $"/v2/models/id-{type}/infer";
            seeds.Add((path, Bytes($$$"""{"id":"1","inputs":[{"name":"in","datatype":"{{{type}}}","shape":[1,2],"data":{{{data}}}}],"parameters":{"priority":1}}"""), []));
            seeds.Add((path, Bytes($$$"""
                {"inputs":[{"name":"in","shape":[1,2],"datatype":"{{{type}}}","parameters":{"binary_data_size":{{{size}}}}}],
                 "outputs":[{"name":"out","parameters":{"binary_data":true}}]}
                """), raw));
            var list = type switch { "BOOL" => "[true,false]", "BYTES" => "[\"a,[b]\",\"c\"]", "FP32" => "[0.12345678, -1.234567890123456,0.5,9.25]", _ => "[1,2]" };
            seeds.Add(($"/v2/models/id-{type}/{(seeds.Count % 2 == 0 ? "generate" : "generate_stream")}", Bytes($$"""{"id":"1","in":{{list}},"mine":true}"""), []));
        }

        seeds.Add(("/v2/models/add/infer", Bytes("""
            {"inputs":[{"name":"a","datatype":"FP32","shape":[1,2],"data":[1.5,-2e-3]},{"name":"b","datatype":"FP32","shape":[1,2],"data":[1,2]}],
             "outputs":[{"name":"sum","parameters":{"classification":1}}]}
            """), []));
        seeds.Add(("/v2/models/add/generate", Bytes("""{"a":[1.5,-2e-3],"parameters":{"b":[0.1,0.22],"priority":2}}"""), []));
        seeds.Add(("/v2/models/lookup/generate", Bytes("""{"in":1,"timeout":1000000}"""), []));
        seeds.Add(("/v2/models/lookup/infer", Bytes("""{"inputs":[{"name":"in","datatype":"INT64","shape":[2],"data":[1,2]}],"parameters":{"timeout":1000000}}"""), []));
        seeds.Add(("/run", Bytes("""{"id":"j","input":{"model":"add","inputs":[{"name":"a","datatype":"FP32","shape":[1,2],"data":[1,2]}]}}"""), []));
        seeds.Add(("/v2/repository/index", Bytes("""{"ready":true}"""), []));
        return seeds;
    }

    private static byte[] Bytes(string text) => Encoding.UTF8.GetBytes(text);

    /// <summary>A few changes of bytes or words; and, for binary data, now and then a wrong length.</summary>
    private static (byte[] Body, string? Length) Mutate(Random random, byte[] head, byte[] tail)
    {
        var json = head.ToList();
        for (var n = random.Next(4); n > 0 && json.Count > 0; n--)
        {
            var at = random.Next(json.Count);
            switch (random.Next(6))
            {
                case 0: json[at] ^= (byte)(1 << random.Next(8)); break;
                case 1: json.RemoveRange(at, Math.Min(json.Count - at, random.Next(1, 12))); break;
                case 2: json.InsertRange(at, Bytes(Words[random.Next(Words.Length)])); break;
                case 3: json.InsertRange(at, json.GetRange(random.Next(json.Count / 2), json.Count / 3)); break;
                case 4: json[at] = (byte)random.Next(256); break;
                default: json.InsertRange(at, Enumerable.Repeat((byte)"[{\"1 "[random.Next(5)], random.Next(1, 300))); break;
            }
        }

        byte[] binary = [.. tail.Take(random.Next(8) == 0 ? random.Next(tail.Length + 1) : tail.Length), .. new byte[random.Next(20) == 0 ? random.Next(40) : 0]];
        var length = tail.Length == 0 && random.Next(20) > 0 ? null
            : random.Next(12) == 0 ? new[] { "0", "-1", "abc", "99999999999999999999", $"{random.Next(json.Count + 50)}" }[random.Next(5)] : $"{json.Count}";
        return ([.. json, .. binary], length);
    }
}
