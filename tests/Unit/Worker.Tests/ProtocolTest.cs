using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.Worker.Tests;

/// <summary>
/// Tests corner cases of the Open Inference Protocol and of Triton's extensions, and the texts that clients match.
/// </summary>
[Trait("Needs", "publish")]
public sealed class ProtocolTest(ProtocolTest.Models models) : IClassFixture<ProtocolTest.Models>
{
    private const string Length = "Inference-Header-Content-Length";
    private const string Four =
        """{"inputs":[{"name":"in","datatype":"FP32","shape":[1,4],"parameters":{"binary_data_size":SIZE}}]}""";

    public sealed class Models : IAsyncLifetime
    {
        private readonly string folder = Directory.CreateTempSubdirectory("sluice-protocol-").FullName;

        public WorkerProcess Worker { get; private set; } = null!;

        public async ValueTask InitializeAsync()
        {
            TinyModel.Put(folder, "row", TinyModel.Identity("FP32", -1, 4));
            TinyModel.Put(folder, "any", TinyModel.Identity("FP32", -1));
            TinyModel.Put(folder, "text", TinyModel.Identity("BYTES", 1));
            TinyModel.Put(folder, "texts", TinyModel.Identity("BYTES", -1, 2));
            TinyModel.Put(folder, "wide", TinyModel.Identity("FP32", 1, -1, -1));
            TinyModel.Put(folder, "add", TinyModel.Add("FP32", -1, 2));
            Worker = await WorkerProcess.StartAsync(folder);
        }

        public async ValueTask DisposeAsync()
        {
            await Worker.DisposeAsync();
            Directory.Delete(folder, recursive: true);
        }
    }

    [Theory]
    [InlineData("row", "0000803f000000400000404000008040", "[1,4]", "0000803f000000400000404000008040")]
    [InlineData("any", "0000803f00000040", "[2]", "0000803f00000040")]
    [InlineData("any", "", "[0]", "")]
    [InlineData("text", "616200", "[1]", "03000000616200")]
    public async Task A_raw_request_is_the_only_input_and_its_response_is_binary(
        string model,
        string hex,
        string shape,
        string expected)
    {
        using var answer = await SendAsync($"/v2/models/{model}/infer", Convert.FromHexString(hex), (Length, "0"));
        var bytes = await answer.Content.ReadAsByteArrayAsync();
        Assert.True(answer.StatusCode == HttpStatusCode.OK, Encoding.UTF8.GetString(bytes));
        var json = answer.Headers.TryGetValues(Length, out var length) ? int.Parse(
            length.Single(),
            System.Globalization.CultureInfo.InvariantCulture) : bytes.Length;
        Assert.Equal(shape, JsonNode.Parse(bytes.AsSpan(0, json))!["outputs"]![0]!["shape"]!.ToJsonString());
        Assert.Equal(expected, Convert.ToHexStringLower(bytes.AsSpan(json)));
    }

    [Theory]
    [InlineData("add", "Raw request must only have 1 input (found 1) to be deduced but got 2 inputs in 'add' model")]
    [InlineData(
        "wide",
        "The shape of the raw input 'in' can not be deduced because there are more than one variable-sized dimension")]
    [InlineData("texts", "For BYTE datatype raw input 'in', the model must have input shape [1]")]
    [InlineData("row", "binary_data_size of input 'in' is '4'; expected 16")]
    public async Task The_error_of_an_invalid_raw_request_contains_the_reason(string model, string says) =>
        await RefusedAsync(400, says, $"/v2/models/{model}/infer", [1, 2, 3, 4], (Length, "0"));

    [Theory]
    [InlineData("40", "unexpected size for input 'in', expecting 24 additional bytes for model 'row'")]
    [InlineData("12", "binary_data_size of input 'in' is '12'; expected 16 (4 elements of FP32)")]
    [InlineData("8", "binary_data_size of input 'in' is '8'; expected 16")]
    [InlineData("-1", "unexpected size for input 'in'")]
    public async Task Binary_data_of_another_size_is_rejected(string size, string says)
    {
        var head = Encoding.UTF8.GetBytes(Four.Replace("SIZE", size, StringComparison.Ordinal));
        await RefusedAsync(400, says, "/v2/models/row/infer", [.. head, .. new byte[16]], (Length, $"{head.Length}"));
    }

    [Fact]
    public async Task Extra_binary_data_and_a_JSON_length_above_the_body_size_are_rejected()
    {
        var head = Encoding.UTF8.GetBytes(Four.Replace("SIZE", "16", StringComparison.Ordinal));
        await RefusedAsync(
            400,
            "unexpected additional input data for model 'row'",
            "/v2/models/row/infer",
            [.. head, .. new byte[17]],
            (Length, $"{head.Length}"));
        await RefusedAsync(
            400,
            "inference header size should be in range (0, 2), got: 3",
            "/v2/models/row/infer",
            "{}"u8.ToArray(),
            (Length, "3"));
    }

    [Fact]
    public async Task An_unknown_encoding_is_rejected_with_the_supported_ones()
    {
        using var answer = await RefusedAsync(
            501,
            "Unsupported compression type",
            "/v2/models/row/infer",
            "{}"u8.ToArray(),
            ("Content-Encoding", "br"));
        Assert.Equal("gzip, deflate", string.Join(", ", answer.Headers.GetValues("Accept-Encoding")));
    }

    [Theory]
    [InlineData("/v2/models/none/infer", 404, "Request for unknown model: 'none' is not found")]
    [InlineData("/v2/models/row/versions/7/infer", 404, "Request for unknown model: 'row' version 7 is not found")]
    [InlineData("/v2/models/row/unknown", 404,
        "The path '/v2/models/row/unknown' does not exist; expected ")]
    [InlineData("/v2/models/row/config", 405,
        "The path '/v2/models/row/config' does not support POST; expected GET.")]
    [InlineData("/v2/repository/mine/index", 501, "'repository_name' specification is not supported")]
    [InlineData("/v2/repository/mine/models/row/load", 501, "'repository_name' specification is not supported")]
    [InlineData("/v2/repository/models/row/load", 400, "explicit model load / unload is not allowed")]
    public async Task An_unknown_path_or_model_is_reported(string path, int status, string says) =>
        await RefusedAsync(status, says, path, []);

    [Fact]
    public async Task An_unknown_path_below_v1_has_an_error_of_the_OpenAI_API()
    {
        var answer = await SendAsync("/v1/chat/completion", []);
        var error = JsonNode.Parse(await answer.Content.ReadAsStringAsync())!["error"]!;
        Assert.Equal((404, "not_found", "invalid_request_error"),
            ((int)answer.StatusCode, (string?)error["code"], (string?)error["type"]));
        Assert.Equal("The path '/v1/chat/completion' does not exist; expected POST /v1/chat/completions.",
            (string?)error["message"]);
    }

    [Theory]
    [InlineData("")]
    [InlineData("x")]
    public async Task A_very_long_name_is_truncated_even_inside_a_surrogate_pair(string before)
    {
        var name = before + string.Concat(Enumerable.Repeat("\U0001F600", 3000));
        var request = $$"""{"inputs":[{"name":"{{name}}","datatype":"FP32","shape":[1,4],"data":[1,2,3,4]}]}""";
        await RefusedAsync(400, name[..1000], "/v2/models/row/infer", Encoding.UTF8.GetBytes(request));
    }

    [Theory]
    [InlineData(97, "Parameter 'deep' must be")]
    [InlineData(101, "maximum configured depth of 100")]
    public async Task A_document_can_be_nested_100_levels_deep(int lists, string says)
    {
        var deep = $$"""{"parameters":{"deep":{{new string('[', lists)}}{{new string(']', lists)}} } }""";
        await RefusedAsync(400, lists > 100 ? "" : says, "/v2/models/row/generate", Encoding.UTF8.GetBytes(deep));
        var ignored = $$"""{"ignored":{{new string('[', lists)}}{{new string(']', lists)}} }""";
        await RefusedAsync(
            400,
            lists > 100 ? says : "Unable to parse 'inputs'",
            "/v2/models/row/infer",
            Encoding.UTF8.GetBytes(ignored));
    }

    [Fact]
    public async Task Batch_statistics_contain_the_reading_and_writing_times()
    {
        const string body =
            """{"inputs":[{"name":"in","datatype":"FP32","shape":[3,4],"data":[1,2,3,4,5,6,7,8,9,10,11,12]}]}""";
        for (var i = 0; i < 2; i++)
            using (await SendAsync("/v2/models/row/infer", Encoding.UTF8.GetBytes(body)))
            {
                // The requests are counted.
            }

        var stats = JsonNode.Parse(await models.Worker.Client.GetStringAsync("/v2/models/row/stats"))!;
        var batches = stats["model_stats"]![0]!["batch_stats"]!.AsArray();
        var three = batches.Single(b => (int)b!["batch_size"]! == 3)!.AsObject();
        Assert.Equal(["batch_size", "compute_input", "compute_infer", "compute_output"], three.Select(f => f.Key));
        foreach (var stage in new[] { "compute_input", "compute_infer", "compute_output" })
            Assert.True((int)three[stage]!["count"]! == 2 && (long)three[stage]!["ns"]! > 0, three.ToJsonString());
    }

    private async Task<HttpResponseMessage> RefusedAsync(
        int status,
        string says,
        string path,
        byte[] body,
        params (string Name, string Value)[] headers)
    {
        var answer = await SendAsync(path, body, headers);
        var text = await answer.Content.ReadAsStringAsync();
        Assert.True((int)answer.StatusCode == status, $"{(int)answer.StatusCode} {text}");
        Assert.Contains(says, (string?)JsonNode.Parse(text)!["error"], StringComparison.Ordinal);
        return answer;
    }

    private async Task<HttpResponseMessage> SendAsync(
        string path,
        byte[] body,
        params (string Name, string Value)[] headers)
    {
        using var content = new ByteArrayContent(body);
        foreach (var (name, value) in headers) content.Headers.TryAddWithoutValidation(name, value);
        return await models.Worker.Client.PostAsync(path, content);
    }
}
