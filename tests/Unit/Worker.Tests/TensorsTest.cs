using System.Buffers.Binary;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.Worker.Tests;

/// <summary>Tests every datatype as JSON and as bytes, in and out, with models that return their inputs.</summary>
[Trait("Needs", "publish")]
public sealed class TensorsTest(TensorsTest.Identities identities) : IClassFixture<TensorsTest.Identities>
{
    public sealed class Identities : IAsyncLifetime
    {
        private readonly string folder = Directory.CreateTempSubdirectory("sluice-tensors-").FullName;

        public WorkerProcess Worker { get; private set; } = null!;

        public async ValueTask InitializeAsync()
        {
            foreach (var type in TinyModel.ElementTypes.Keys)
            {
                TinyModel.Put(folder, Name(type), TinyModel.Identity(type, -1));
                TinyModel.Put(folder, Name(type) + "-2d", TinyModel.Identity(type, -1, 2));
            }

            TinyModel.Put(folder, "add", TinyModel.Add("FP32", -1, 2));
            Worker = await WorkerProcess.StartAsync(folder);
        }

        public async ValueTask DisposeAsync()
        {
            await Worker.DisposeAsync();
            Directory.Delete(folder, recursive: true);
        }

        public static string Name(string type) => "id-" + type.ToLowerInvariant();
    }

    /// <summary>
    /// Each case is a datatype, JSON elements, and the bytes of these elements in hex, little-endian.
    /// </summary>
    public static TheoryData<string, string, string> Values => new()
    {
        { "BOOL", "true,false,true", "010001" },
        { "UINT8", "0,1,255", "0001ff" },
        { "UINT16", "0,258,65535", "00000201ffff" },
        { "UINT32", "0,16909060,4294967295", "0000000004030201ffffffff" },
        { "UINT64", "0,18446744073709551615", "0000000000000000ffffffffffffffff" },
        { "INT8", "-128,0,127", "80007f" },
        { "INT16", "-32768,-1,32767", "0080ffffff7f" },
        { "INT32", "-2147483648,2147483647", "00000080ffffff7f" },
        { "INT64", "-9223372036854775808,9007199254740993", "000000000000008001000000000020" + "00" },
        { "FP16", "0,1,-2,65504,0.33325195", "0000003c00c0ff7b5535" },
        { "BF16", "0,1,-2,0.33203125", "0000803f00c0aa3e" },
        { "FP32", "0,1.5,-3.4028235E+38,1E-45", "000000000000c03fffff7fff01000000" },
        { "FP64", "0,0.1,-1.7976931348623157E+308", "00000000000000009a9999999999b93fffffffffffffefff" },
        { "BYTES", "\"a\",\"\",\"äöü 🦊\"", "0100000061" + "00000000" + "0b000000c3a4c3b6c3bc20f09fa68a" },
    };

    [Theory]
    [MemberData(nameof(Values))]
    public async Task Json_in_json_out(string type, string elements, string _)
    {
        var (answer, _) = await InferAsync(type, Json(type, elements), 0);
        Assert.Equal(type, (string?)answer["outputs"]![0]!["datatype"]);
        Assert.Equal(Parse(elements), answer["outputs"]![0]!["data"]!.AsArray().Select(e => e!.ToJsonString()));
    }

    [Theory]
    [MemberData(nameof(Values))]
    public async Task Json_in_binary_out(string type, string elements, string hex)
    {
        var (answer, binary) = await InferAsync(
            type,
            Json(type, elements, ""","parameters":{"binary_data_output":true}"""),
            0);
        Assert.Equal(hex, Convert.ToHexStringLower(binary));
        Assert.Equal(binary.Length, (int)answer["outputs"]![0]!["parameters"]!["binary_data_size"]!);
    }

    [Theory]
    [MemberData(nameof(Values))]
    public async Task Binary_in_json_out(string type, string elements, string hex)
    {
        var bytes = Convert.FromHexString(hex);
        var head = Encoding.UTF8.GetBytes($$"""{"inputs":[{"name":"in","datatype":"{{type}}","shape":"""
            + $$"""[{{Parse(elements).Length}}],"parameters":{"binary_data_size":{{bytes.Length}} } }]}""");
        var (answer, _) = await InferAsync(type, [.. head, .. bytes], head.Length);
        Assert.Equal(Parse(elements), answer["outputs"]![0]!["data"]!.AsArray().Select(e => e!.ToJsonString()));
    }

    [Theory]
    [InlineData("FP32", "[[1,2],[3,4]]", "1,2,3,4")]
    [InlineData("INT64", "[[1,2],[3,4]]", "1,2,3,4")]
    [InlineData("BYTES", "[[\"a\",\"b\"],[\"c\",\"d\"]]", "\"a\",\"b\",\"c\",\"d\"")]
    [InlineData("FP32", "[[[[1],[2]]],[[3,4]]]", "1,2,3,4")]
    [InlineData("INT64", "[[[[1],[2]]],[[3,4]]]", "1,2,3,4")]
    [InlineData("FP64", "[[1,2,3],[4],[]]", "1,2,3,4")]
    [InlineData("BYTES", "[[[\"a\"]],\"b\",[\"c\",\"d\"]]", "\"a\",\"b\",\"c\",\"d\"")]
    [InlineData("FP32", "[\"NaN\",\"Infinity\",\"-Infinity\",-0.0]", "\"NaN\",\"Infinity\",\"-Infinity\",-0")]
    public async Task Nested_data_and_floats_that_json_cannot_write(string type, string data, string elements)
    {
        var body = $$"""{"inputs":[{"name":"in","datatype":"{{type}}","shape":[2,2],"data":{{data}}}]}""";
        var (answer, _) = await InferAsync(type, Encoding.UTF8.GetBytes(body), 0, "-2d");
        Assert.Equal(Parse(elements), answer["outputs"]![0]!["data"]!.AsArray().Select(e => e!.ToJsonString()));
        Assert.Equal("[2,2]", answer["outputs"]![0]!["shape"]!.ToJsonString());
    }

    [Theory]
    [InlineData("UINT8", "256")]
    [InlineData("UINT8", "-1")]
    [InlineData("INT8", "128")]
    [InlineData("UINT16", "65536")]
    [InlineData("INT16", "-32769")]
    [InlineData("UINT32", "4294967296")]
    [InlineData("INT32", "2147483648")]
    [InlineData("UINT64", "18446744073709551616")]
    [InlineData("UINT64", "-1")]
    [InlineData("INT64", "9223372036854775808")]
    [InlineData("INT32", "1.5")]
    [InlineData("INT32", "\"1\"")]
    [InlineData("INT32", "true")]
    [InlineData("BOOL", "2")]
    [InlineData("FP32", "\"one\"")]
    [InlineData("FP32", "null")]
    [InlineData("FP16", "70000")]
    [InlineData("BYTES", "5")]
    public async Task An_out_of_range_value_is_rejected(string type, string element)
    {
        var body = $$"""{"inputs":[{"name":"in","datatype":"{{type}}","shape":[1],"data":[{{element}}]}]}""";
        using var answer = await PostAsync(Identities.Name(type), Encoding.UTF8.GetBytes(body), 0);
        var error = (string?)JsonNode.Parse(await answer.Content.ReadAsStringAsync())!["error"];
        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        Assert.Contains("'in'", error, StringComparison.Ordinal);
        Assert.Contains(type, error, StringComparison.Ordinal);
        Assert.Contains(element.Trim('"'), error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task Two_inputs_one_as_json_and_one_as_bytes()
    {
        var head = Encoding.UTF8.GetBytes("""{"id":"42","inputs":[{"name":"b","datatype":"FP32","shape":[1,2],"data":"""
            + """[1,2]},{"name":"a","datatype":"FP32","shape":[1,2],"parameters":{"binary_data_size":8}}],"outputs":"""
            + """[{"name":"sum"}]}""");
        var bytes = new byte[8];
        BinaryPrimitives.WriteSingleLittleEndian(bytes, 10);
        BinaryPrimitives.WriteSingleLittleEndian(bytes.AsSpan(4), 20);
        using var answer = await PostAsync("add", [.. head, .. bytes], head.Length);
        var body = JsonNode.Parse(await answer.Content.ReadAsStringAsync())!;
        Assert.Equal("42", (string?)body["id"]);
        Assert.Equal("[11,22]", body["outputs"]![0]!["data"]!.ToJsonString());
    }

    [Theory]
    [InlineData("""{"inputs":[{"name":"a","datatype":"FP32","shape":[1,2],"data":[1,2]}]}""", "'b'")]
    [InlineData("""{"inputs":[{"name":"a","datatype":"FP32","shape":[1,2],"data":[1,2]},"""
        + """{"name":"a","datatype":"FP32","shape":[1,2],"data":[1,2]}]}""", "'a'")]
    [InlineData("""{"inputs":[{"name":"a","datatype":"FP32","shape":[1,2],"data":[1,2]},"""
        + """{"name":"b","datatype":"FP32","shape":[1,2],"data":[1,2]}],"outputs":[{"name":"product"}]}""", "product")]
    [InlineData("""{"inputs":[{"name":"a","datatype":"FP32","shape":[1,2],"data":[1,2]},"""
        + """{"name":"b","datatype":"FP32","shape":[1,2],"data":[[[[1,2],3]]]}]}""", "'b'")]
    [InlineData("""{"inputs":[{"name":"a","datatype":"FP32","shape":[1,2]},{"name":"b","datatype":"FP32","shape":"""
        + """[1,2],"data":[1,2]}]}""", "'a'")]
    [InlineData("""{"inputs":"a"}""", "inputs")]
    public async Task The_error_names_what_a_request_lacks_or_repeats(string body, string says)
    {
        using var answer = await PostAsync("add", Encoding.UTF8.GetBytes(body), 0);
        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        Assert.Contains(
            says,
            (string?)JsonNode.Parse(await answer.Content.ReadAsStringAsync())!["error"],
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task Metadata_contains_the_properties_of_the_model()
    {
        var body = JsonNode.Parse(
            await identities.Worker.Client.GetStringAsync(new Uri("/v2/models/add", UriKind.Relative)))!;
        Assert.Equal("add", (string?)body["name"]);
        Assert.Equal("onnxruntime_onnx", (string?)body["platform"]);
        Assert.Equal(
            """[{"name":"a","datatype":"FP32","shape":[-1,2]},{"name":"b","datatype":"FP32","shape":[-1,2]}]""",
            body["inputs"]!.ToJsonString());
    }

    [Fact]
    public async Task A_deeply_nested_body_is_rejected_and_the_worker_continues()
    {
        using var answer = await PostAsync("add", Encoding.UTF8.GetBytes("{\"inputs\":" + new string('[', 100_000)), 0);
        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        Assert.Equal(
            HttpStatusCode.OK,
            (await identities.Worker.Client.GetAsync(new Uri("/v2/health/live", UriKind.Relative))).StatusCode);
    }

    private static byte[] Json(string type, string elements, string more = "") => Encoding.UTF8.GetBytes(
        $$"""{"inputs":[{"name":"in","datatype":"{{type}}","shape":[{{Parse(elements).Length}}],"data":"""
        + $$"""[{{elements}}]}]{{more}}}""");

    /// <summary>Returns the elements as the JSON writer formats them.</summary>
    private static string[] Parse(string elements) =>
        [.. JsonNode.Parse($"[{elements}]")!.AsArray().Select(e => Again(e!))];

    private static string Again(JsonNode element) =>
        element.GetValueKind() != JsonValueKind.Number ? element.ToJsonString()
        : element.ToJsonString() == "-0.0" ? "-0" : element.ToJsonString();

    private async Task<(JsonNode Answer, byte[] Binary)> InferAsync(
        string type,
        byte[] body,
        int head,
        string suffix = "")
    {
        using var answer = await PostAsync(Identities.Name(type) + suffix, body, head);
        var bytes = await answer.Content.ReadAsByteArrayAsync();
        Assert.True(answer.StatusCode == HttpStatusCode.OK, Encoding.UTF8.GetString(bytes));
        var json = answer.Headers.TryGetValues("Inference-Header-Content-Length", out var length)
            ? int.Parse(length.First(), System.Globalization.CultureInfo.InvariantCulture) : bytes.Length;
        return (JsonNode.Parse(bytes.AsSpan(0, json))!, bytes[json..]);
    }

    private async Task<HttpResponseMessage> PostAsync(string model, byte[] body, int head)
    {
        using var content = new ByteArrayContent(body);
        content.Headers.ContentType =
            new MediaTypeHeaderValue(head > 0 ? "application/octet-stream" : "application/json");
        if (head > 0) content.Headers.Add("Inference-Header-Content-Length", $"{head}");
        return await identities.Worker.Client.PostAsync($"/v2/models/{model}/infer", content);
    }
}
