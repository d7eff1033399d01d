using System.Globalization;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.Worker.Tests.Backend;

/// <summary>
/// ONNX's own test data of its operators (Debian's libonnx-testdata, the <c>node</c> set) through the running worker, as JSON and as binary
/// data. What does not pass stands in <c>exclusions.txt</c> with its reason; it must be exactly that.
/// </summary>
[Trait("Needs", "publish")]
public sealed class BackendTest
{
    private const string TestData = "/usr/share/libonnx-testdata/data/node";

    /// <summary>ONNX's own tolerances (onnx/backend/test/loader).</summary>
    private const double Relative = 1e-3;
    private const double Absolute = 1e-7;

    [Fact]
    public async Task Every_operator_of_the_test_data_gives_its_outputs_over_http()
    {
        Require.Program(TestData + "/test_abs/model.onnx", "libonnx-testdata");
        var repository = Directory.CreateTempSubdirectory("sluice-backend-").FullName;
        TinyModel.Put(repository, "tiny", TinyModel.Identity("FP32", -1));
        var names = Directory.EnumerateDirectories(TestData).Select(d => Path.GetFileName(d)).Order(StringComparer.Ordinal).ToList();
        foreach (var name in names)
        {
            var folder = Directory.CreateDirectory(Path.Combine(repository, name, "1")).FullName;
            File.CreateSymbolicLink(Path.Combine(folder, "model.onnx"), Path.Combine(TestData, name, "model.onnx"));
        }

        var failed = new SortedDictionary<string, string>(StringComparer.Ordinal);
        await using (var worker = await WorkerProcess.StartAsync(repository, new Dictionary<string, string?>
        {
            ["SLUICE_MODELS"] = "tiny", ["SLUICE_MODEL_CONTROL"] = "explicit", ["SLUICE_MODEL_CACHE"] = "",
        }))
            foreach (var name in names)
                try
                {
                    if (await WhyNotAsync(worker.Client, name) is { } why) failed[name] = why;
                }
                catch (OperationCanceledException e)
                {
                    throw new InvalidOperationException($"{name} was not answered", e);
                }

        Directory.Delete(repository, recursive: true);

        var known = File.ReadAllLines(Path.Combine(Repository.Root, "tests/Unit/Worker.Tests/Backend/exclusions.txt"))
            .Where(l => l.Length > 0 && l[0] != '#').Select(l => l.Split(" | ", 2)).ToDictionary(l => l[0], l => l[1]);
        foreach (var random in known.Keys.Where(k => k[0] == '~').ToList())
        {
            failed[random[1..]] = "";
            known[random[1..]] = known[random];
            known.Remove(random);
        }

        Assert.All(known.Values, reason => Assert.False(string.IsNullOrWhiteSpace(reason)));
        Assert.True(failed.Keys.Order(StringComparer.Ordinal).SequenceEqual(known.Keys.Order(StringComparer.Ordinal)),
            $"{names.Count - failed.Count} of {names.Count} passed; not passed, and not excluded:\n"
            + string.Join('\n', failed.Where(f => !known.ContainsKey(f.Key)).Select(f => $"{f.Key} | {f.Value}"))
            + "\nexcluded, but passed: " + string.Join(' ', known.Keys.Where(k => !failed.ContainsKey(k))));
    }

    private static async Task<string?> WhyNotAsync(HttpClient client, string name)
    {
        using var loaded = await client.PostAsync($"/v2/repository/models/{name}/load", null);
        if (!loaded.IsSuccessStatusCode) return "not loaded: " + await ErrorAsync(loaded);
        try
        {
            var metadata = JsonNode.Parse(await client.GetStringAsync($"/v2/models/{name}"))!;
            foreach (var set in Directory.EnumerateDirectories(Path.Combine(TestData, name), "test_data_set_*"))
            {
                var (inputs, outputs) = (Tensors(set, "input"), Tensors(set, "output"));
                if (inputs is null || outputs is null) return "no tensors";
                foreach (var binary in new[] { false, true })
                    if (await WhyNotAsync(client, name, metadata, inputs, outputs, binary) is { } why) return (binary ? "binary: " : "JSON: ") + why;
            }

            return null;
        }
        finally
        {
            (await client.PostAsync($"/v2/repository/models/{name}/unload", null)).Dispose();
        }
    }

    private static async Task<string?> WhyNotAsync(HttpClient client, string name, JsonNode metadata, List<OnnxTensor> inputs, List<OnnxTensor> outputs, bool binary)
    {
        var head = new JsonObject { ["inputs"] = new JsonArray(), ["parameters"] = new JsonObject { ["binary_data_output"] = binary } };
        var declared = metadata["inputs"]!.AsArray();
        if (declared.Count != inputs.Count) return $"{declared.Count} inputs declared, {inputs.Count} given";
        var tail = new MemoryStream();
        for (var i = 0; i < inputs.Count; i++)
        {
            var input = new JsonObject
            {
                ["name"] = (string)declared[i]!["name"]!, ["datatype"] = inputs[i].Type, ["shape"] = new JsonArray([.. inputs[i].Shape.Select(d => JsonValue.Create(d))]),
            };
            if (binary) input["parameters"] = new JsonObject { ["binary_data_size"] = inputs[i].Raw.Length };
            else input["data"] = new JsonArray([.. inputs[i].Elements().Select(e => Json(e, inputs[i].Type!))]);
            if (binary) tail.Write(inputs[i].Raw);
            head["inputs"]!.AsArray().Add(input);
        }

        var json = Encoding.UTF8.GetBytes(head.ToJsonString());
        using var content = new ByteArrayContent([.. json, .. tail.ToArray()]);
        content.Headers.ContentType = new MediaTypeHeaderValue(binary ? "application/octet-stream" : "application/json");
        if (binary) content.Headers.Add("Inference-Header-Content-Length", $"{json.Length}");
        using var answer = await client.PostAsync($"/v2/models/{name}/infer", content);
        if (!answer.IsSuccessStatusCode) return $"{(int)answer.StatusCode} " + await ErrorAsync(answer);
        return Differs(await ReadAsync(answer), outputs);
    }

    private static async Task<List<OnnxTensor>> ReadAsync(HttpResponseMessage answer)
    {
        var body = await answer.Content.ReadAsByteArrayAsync();
        var split = answer.Headers.TryGetValues("Inference-Header-Content-Length", out var length)
            ? int.Parse(length.Single(), CultureInfo.InvariantCulture) : body.Length;
        var read = new List<OnnxTensor>();
        foreach (var output in JsonNode.Parse(body.AsSpan(0, split))!["outputs"]!.AsArray())
        {
            var (type, shape) = ((string)output!["datatype"]!, output["shape"]!.AsArray().Select(d => (long)d!).ToArray());
            if (output["parameters"]?["binary_data_size"] is { } size)
            {
                read.Add(new OnnxTensor(type, shape, body[split..(split + (int)size)]));
                split += (int)size;
            }
            else
            {
                read.Add(new OnnxTensor(type, shape, [.. output["data"]!.AsArray().SelectMany(e => Bytes(e!, type))]));
            }
        }

        return read;
    }

    private static string? Differs(List<OnnxTensor> got, List<OnnxTensor> wanted)
    {
        if (got.Count < wanted.Count) return $"{got.Count} outputs, expected {wanted.Count}";
        for (var i = 0; i < wanted.Count; i++)
        {
            if (got[i].Type != wanted[i].Type) return $"output {i} is {got[i].Type}, expected {wanted[i].Type}";
            if (!got[i].Shape.SequenceEqual(wanted[i].Shape))
                return $"output {i} has shape [{string.Join(',', got[i].Shape)}], expected [{string.Join(',', wanted[i].Shape)}]";
            var (a, b) = (got[i].Elements().ToList(), wanted[i].Elements().ToList());
            for (var k = 0; k < b.Count; k++)
                if (!Near(a[k], b[k])) return string.Create(CultureInfo.InvariantCulture, $"output {i}, element {k} is {a[k]}, expected {b[k]}");
        }

        return null;
    }

    private static bool Near(object a, object b) => a.Equals(b)
        || (a is double x && b is double y && ((double.IsNaN(x) && double.IsNaN(y)) || Math.Abs(x - y) <= Absolute + (Relative * Math.Abs(y))));

    private static List<OnnxTensor>? Tensors(string set, string kind)
    {
        var tensors = new List<OnnxTensor>();
        for (var i = 0; File.Exists(Path.Combine(set, $"{kind}_{i}.pb")); i++)
        {
            if (OnnxTensor.Read(Path.Combine(set, $"{kind}_{i}.pb")) is not { Type: not null } tensor) return null;
            tensors.Add(tensor);
        }

        return tensors;
    }

    private static JsonValue? Json(object element, string type) => element switch
    {
        string text => JsonValue.Create(text),
        decimal n when type == "BOOL" => JsonValue.Create(n != 0),
        decimal n => JsonValue.Create(n),
        double d when double.IsFinite(d) => type is "FP32" or "FP16" or "BF16" ? JsonValue.Create((float)d) : JsonValue.Create(d),
        var other => JsonValue.Create(((double)other).ToString(CultureInfo.InvariantCulture)),
    };

    private static byte[] Bytes(JsonNode element, string type)
    {
        if (type == "BYTES") return Encoding.UTF8.GetBytes((string)element!) is var text ? [.. BitConverter.GetBytes(text.Length), .. text] : [];
        if (type == "BOOL") return [(bool)element ? (byte)1 : (byte)0];
        var number = element.GetValueKind() == JsonValueKind.String ? (string)element! : element.ToJsonString();
        return type switch
        {
            "FP64" => BitConverter.GetBytes(double.Parse(number, CultureInfo.InvariantCulture)),
            "FP32" => BitConverter.GetBytes(float.Parse(number, CultureInfo.InvariantCulture)),
            "FP16" => BitConverter.GetBytes((Half)float.Parse(number, CultureInfo.InvariantCulture)),
            "BF16" => BitConverter.GetBytes(float.Parse(number, CultureInfo.InvariantCulture))[2..],
            "UINT64" => BitConverter.GetBytes(ulong.Parse(number, CultureInfo.InvariantCulture)),
            _ => BitConverter.GetBytes(long.Parse(number, CultureInfo.InvariantCulture))
                [..(type switch { "INT8" or "UINT8" => 1, "INT16" or "UINT16" => 2, "INT64" => 8, _ => 4 })],
        };
    }

    private static async Task<string> ErrorAsync(HttpResponseMessage answer) =>
        ((string?)JsonNode.Parse(await answer.Content.ReadAsStringAsync())!["error"] ?? "").Split('\n')[0];
}
