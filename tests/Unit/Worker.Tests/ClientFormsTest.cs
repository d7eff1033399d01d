using System.Globalization;
using System.IO.Compression;
using System.Net;
using System.Net.Http.Headers;
using System.Text;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.Worker.Tests;

/// <summary>
/// Tests forms that clients of Triton and KServe send and expect, and that the protocol does not specify.
/// </summary>
[Trait("Needs", "publish")]
public sealed class ClientFormsTest(ClientFormsTest.Models models) : IClassFixture<ClientFormsTest.Models>
{
    public sealed class Models : IAsyncLifetime
    {
        private readonly string folder = Directory.CreateTempSubdirectory("sluice-forms-").FullName;

        public WorkerProcess Worker { get; private set; } = null!;

        public async ValueTask InitializeAsync()
        {
            foreach (var type in new[] { "FP16", "BF16", "FP32", "FP64", "INT32", "INT64", "UINT8", "BOOL", "BYTES" })
                TinyModel.Put(folder, type.ToLowerInvariant(), TinyModel.Identity(type, -1, 4));
            TinyModel.Put(folder, "one", TinyModel.Identity("FP32", -1));
            TinyModel.Put(folder, "wide", TinyModel.Identity("FP32", 1, -1));
            TinyModel.Put(folder, "image", TinyModel.Identity("FP32", -1, 3, 2, 2));
            await File.WriteAllTextAsync(Path.Combine(folder, "image", "config.pbtxt"), """
                name: "image"  # as in Triton's examples
                max_batch_size: 8
                input [ { name: "in", data_type: TYPE_FP32, format: FORMAT_NCHW, dims: [ 3, 2, 2 ] } ]
                """);
            Worker = await WorkerProcess.StartAsync(folder);
        }

        public async ValueTask DisposeAsync()
        {
            await Worker.DisposeAsync();
            Directory.Delete(folder, recursive: true);
        }
    }

    [Theory]
    [InlineData("FP16", "NaN,Infinity,-Infinity,1", "NaN,Infinity,-Infinity,1")]
    [InlineData("BF16", "NaN,Infinity,-Infinity,1", "NaN,Infinity,-Infinity,1")]
    [InlineData("FP32", "NaN,Infinity,-Infinity,1", "NaN,Infinity,-Infinity,1")]
    [InlineData("FP64", "NaN,Infinity,-Infinity,1", "NaN,Infinity,-Infinity,1")]
    [InlineData("FP32", "[[ -NaN , Inf],[-Inf,0.5]]", "NaN,Infinity,-Infinity,0.5")]
    [InlineData("FP32", "\"NaN\",\"Infinity\",\"-Infinity\",1", "\"NaN\",\"Infinity\",\"-Infinity\",1")]
    public async Task NaN_and_infinities_are_returned_in_the_form_of_the_request(
        string type,
        string data,
        string back)
    {
        var (status, body) = await InferAsync(type, Input(type, data));
        Assert.True(status == HttpStatusCode.OK, body);
        Assert.Contains($"\"data\":[{back}]", body, StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_generate_request_can_contain_a_single_unquoted_NaN()
    {
        using var answer = await models.Worker.Client.PostAsync(
            "/v2/models/one/generate",
            new StringContent("""{"in": -Infinity ,"other":1}"""));
        Assert.Equal(
            """{"model_name":"one","model_version":"1","out":-Infinity}""",
            await answer.Content.ReadAsStringAsync());
    }

    [Theory]
    [InlineData(
        "INT32",
        "NaN,1,2,3",
        "data has \"NaN\"; expected a whole number from -2147483648 to 2147483647 (INT32)")]
    [InlineData("FP32", "NaN,1,2,Nan", "'N' is an invalid start of a value")]
    [InlineData("FP32", "NaN,1,2,x", "line 1, byte 73: 'x' is an invalid start of a value")]
    [InlineData(
        "FP32",
        "NaN,1,2",
        "Shape does not match true shape of 'data' field: data has 3 elements; expected 4 for shape [1,4]")]
    [InlineData("BYTES", "NaN,\"a\",\"b\",\"c\"", "'N' is an invalid start of a value")]
    [InlineData("BOOL", "\"false\",true,true,true", "data has \"false\"; expected true or false (BOOL)")]
    [InlineData(
        "INT32",
        "\"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\u00e9\u00e9\",1,1,1",
        "data has \"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa...\"; expected")]
    public async Task An_invalid_value_is_reported_as_it_was_sent(string type, string data, string says)
    {
        var (status, body) = await InferAsync(type, Input(type, data));
        Assert.Equal(HttpStatusCode.BadRequest, status);
        Assert.Contains(says, (string?)JsonNode.Parse(body)!["error"], StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("""{"inputs":[{"name":"in","datatype":"FP32","shape":[1,4],"parameters":"""
        + """{"shared_memory_region":"r","shared_memory_byte_size":16}}]}""", "Input 'in'")]
    [InlineData("""{"inputs":[{"name":"in","datatype":"FP32","shape":[1,4],"data":[1,2,3,4]}],"outputs":"""
        + """[{"name":"out","parameters":"""
        + """{"shared_memory_byte_size":16,"shared_memory_region":"r"}}]}""", "Output 'out'")]
    public async Task Shared_memory_is_rejected(string body, string says)
    {
        var (status, text) = await InferAsync("FP32", body);
        Assert.Equal(HttpStatusCode.BadRequest, status);
        var error = (string?)JsonNode.Parse(text)!["error"];
        Assert.Contains(says, error, StringComparison.Ordinal);
        Assert.Contains("shared memory is not supported", error, StringComparison.Ordinal);
    }

    [Fact]
    public async Task An_empty_id_is_ignored()
    {
        var (_, body) = await InferAsync("FP32", """{"id":"",""" + Input("FP32", "1,2,3,4")[1..]);
        Assert.False(JsonNode.Parse(body)!.AsObject().ContainsKey("id"), body);
        using var answer = await models.Worker.Client.PostAsync(
            "/v2/models/one/generate",
            new StringContent("""{"id":"","in":1}"""));
        Assert.DoesNotContain("\"id\"", await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("INT32", "-1,16,15,3", "16:1", "15:2")]
    [InlineData("INT64", "9007199254740992,9007199254740993,-5,0", "9007199254740993:1", "9007199254740992:0")]
    [InlineData("UINT8", "255,0,7,8", "255:0", "8:3")]
    [InlineData("FP32", "0.5,16,15,3", "16.000000:1", "15.000000:2")]
    public async Task Values_of_classes_are_formatted_as_in_Triton(
        string type,
        string data,
        string first,
        string second)
    {
        var (_, body) = await InferAsync(
            type,
            Input(type, data)[..^1] + ""","outputs":[{"name":"out","parameters":{"classification":2}}]}""");
        Assert.Equal([first, second], JsonNode.Parse(body)!["outputs"]![0]!["data"]!.AsArray().Select(c => (string?)c));
    }

    [Fact]
    public async Task The_configuration_of_a_model_contains_the_format_of_its_inputs()
    {
        var config = JsonNode.Parse(
            await models.Worker.Client.GetStringAsync(new Uri("/v2/models/image/config", UriKind.Relative)))!;
        Assert.Equal("FORMAT_NCHW", (string?)config["input"]![0]!["format"]);
        Assert.Equal("only input.format has an effect; ignored: input.data_type, input.dims, max_batch_size, name",
            (string?)config["parameters"]!["config_pbtxt"]!["string_value"]);
        var other = JsonNode.Parse(
            await models.Worker.Client.GetStringAsync(new Uri("/v2/models/fp32/config", UriKind.Relative)))!;
        Assert.Equal("FORMAT_NONE", (string?)other["input"]![0]!["format"]);
        Assert.Null(other["parameters"]!["config_pbtxt"]);
    }

    [Theory]
    [InlineData("gzip")]
    [InlineData("deflate")]
    public async Task The_JSON_length_of_a_compressed_binary_response_is_uncompressed(string encoding)
    {
        var data = string.Join(',', Enumerable.Range(0, 2000));
        var (answer, bytes) = await CompressedAsync(encoding, data, ""","parameters":{"binary_data_output":true}""");
        Assert.Equal([encoding], answer.Content.Headers.ContentEncoding);
        var head = int.Parse(
            Assert.Single(answer.Headers.GetValues("Inference-Header-Content-Length")),
            CultureInfo.InvariantCulture);
        Assert.Equal(
            8000,
            (int)JsonNode.Parse(bytes.AsSpan(0, head))!["outputs"]![0]!["parameters"]!["binary_data_size"]!);
        Assert.Equal(1999f, BitConverter.ToSingle(bytes.AsSpan(head)[^4..]));
        answer.Dispose();
    }

    [Theory]
    [InlineData(300, true)]
    [InlineData(30, false)]
    public async Task A_response_is_compressed_by_its_own_size_not_by_the_tensor_size(int elements, bool compressed)
    {
        var data = string.Join(',', Enumerable.Repeat("0.12345678", elements));
        var (answer, bytes) = await CompressedAsync("gzip", data, "");
        Assert.Equal(compressed, answer.Content.Headers.ContentEncoding.Count == 1);
        Assert.Equal(elements, JsonNode.Parse(bytes)!["outputs"]![0]!["data"]!.AsArray().Count);
        answer.Dispose();
    }

    [Theory]
    [InlineData("", "The request body is empty; expected a JSON object.")]
    [InlineData("""{"model":"m","input":["a"]}""", "send it to POST /v1/embeddings")]
    [InlineData("""{"model":"m","messages":[]}""", "send it to POST /v1/chat/completions")]
    public async Task The_error_for_a_body_of_another_api_contains_its_path(string body, string says)
    {
        using var answer = await models.Worker.Client.PostAsync("/v2/models/fp32/infer", new StringContent(body));
        Assert.Contains(
            says,
            (string?)JsonNode.Parse(await answer.Content.ReadAsStringAsync())!["error"],
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData(
        "fp32/infer",
        "Unable to parse 'inputs': attempt to access non-existing object member 'inputs'; "
        + "the body has 'input', which is a field of jobs")]
    [InlineData("one/generate", "send it to POST /v2/{endpoint}/run or /v2/{endpoint}/runsync")]
    [InlineData("fp3/infer", "Request for unknown model: 'fp3' is not found (served: bf16, bool, ")]
    public async Task The_error_for_a_job_body_or_unknown_model_contains_the_alternative(string path, string says)
    {
        using var answer = await models.Worker.Client.PostAsync(
            $"/v2/models/{path}",
            new StringContent("""{"input":{"inputs":[]}}"""));
        Assert.Contains(
            says,
            (string?)JsonNode.Parse(await answer.Content.ReadAsStringAsync())!["error"],
            StringComparison.Ordinal);
    }

    private static string Input(string type, string data) =>
        $$"""{"inputs":[{"name":"in","datatype":"{{type}}","shape":[1,4],"data":[{{data}}]}]}""";

    private async Task<(HttpStatusCode Status, string Body)> InferAsync(string type, string body)
    {
        using var answer = await models.Worker.Client.PostAsync(
            $"/v2/models/{type.ToLowerInvariant()}/infer",
            new StringContent(body));
        return (answer.StatusCode, await answer.Content.ReadAsStringAsync());
    }

    private async Task<(HttpResponseMessage Answer, byte[] Plain)> CompressedAsync(
        string encoding,
        string data,
        string more)
    {
        var elements = data.Count(c => c == ',') + 1;
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v2/models/wide/infer")
        {
            Content = new StringContent($$"""{"inputs":[{"name":"in","datatype":"FP32","shape":"""
                + $$"""[1,{{elements}}],"data":[{{data}}]}]{{more}}}"""),
            Version = HttpVersion.Version20, VersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
        request.Headers.AcceptEncoding.Add(new StringWithQualityHeaderValue(encoding));
        var answer = await models.Worker.Client.SendAsync(request);
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        var body = await answer.Content.ReadAsStreamAsync();
        await using var plain = answer.Content.Headers.ContentEncoding.Count == 0 ? body
            : encoding == "gzip"
                ? new GZipStream(body, CompressionMode.Decompress)
                : new ZLibStream(body, CompressionMode.Decompress);
        var all = new MemoryStream();
        await plain.CopyToAsync(all);
        return (answer, all.ToArray());
    }
}
