using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Sluice.Testing;
using Sluice.Worker.Requests;
using Sluice.Worker.Tensors;

namespace Sluice.Worker.Tests;

/// <summary>Tests the generate extension for models that do not generate text: inputs and outputs are keys.</summary>
[Trait("Needs", "publish")]
public sealed class GenerateTensorsTest(GenerateTensorsTest.Models models) : IClassFixture<GenerateTensorsTest.Models>
{
    public sealed class Models : IAsyncLifetime
    {
        private readonly string folder = Directory.CreateTempSubdirectory("sluice-generate-").FullName;

        public WorkerProcess Worker { get; private set; } = null!;

        public async ValueTask InitializeAsync()
        {
            foreach (var type in TinyModel.ElementTypes.Keys) TinyModel.Put(
                folder,
                "id-" + type.ToLowerInvariant(),
                TinyModel.Identity(type, -1));
            TinyModel.Put(folder, "add", TinyModel.Add("FP32", -1, 2));
            TinyModel.Put(folder, "lookup", TinyModel.Lookup());
            Worker = await WorkerProcess.StartAsync(
                folder,
                new Dictionary<string, string?> { ["SLUICE_MAX_BODY_BYTES"] = "4000" });
        }

        public async ValueTask DisposeAsync()
        {
            await Worker.DisposeAsync();
            Directory.Delete(folder, recursive: true);
        }
    }

    [Theory]
    [MemberData(nameof(TensorsTest.Values), MemberType = typeof(TensorsTest))]
    public async Task Every_datatype_can_be_sent_and_returned(string type, string elements, string _)
    {
        var model = "id-" + type.ToLowerInvariant();
        var answer = await AnswerAsync(model, $$"""{"id":"7","in":[{{elements}}]}""");
        Assert.Equal(["id", "model_name", "model_version", "out"], answer.Select(f => f.Key));
        Assert.Equal(
            ("7", model, "1"),
            ((string?)answer["id"], (string?)answer["model_name"], (string?)answer["model_version"]));
        Assert.Equal(JsonNode.Parse($"[{elements}]")!.ToJsonString(), answer["out"]!.ToJsonString());
    }

    [Theory]
    [InlineData("id-fp32", "-1.5", "-1.5")]
    [InlineData("id-fp32", "[-1.5]", "-1.5")]
    [InlineData("id-fp32", "\"NaN\"", "\"NaN\"")]
    [InlineData("id-int64", "9007199254740993", "9007199254740993")]
    [InlineData("id-bool", "true", "true")]
    [InlineData("id-bytes", "\"a, [b] \\\"c\\\"\"", "\"a, [b] \\\"c\\\"\"")]
    [InlineData("id-bytes", "[\"a,b\", \"[c]\"]", "[\"a,b\",\"[c]\"]")]
    [InlineData("id-bytes", "\"\"", "\"\"")]
    public async Task A_single_element_is_a_value_without_a_list(string model, string value, string expected) =>
        Assert.Equal(
            JsonNode.Parse(expected)!.ToJsonString(),
            (await AnswerAsync(model, $$"""{"in":{{value}}}"""))["out"]!.ToJsonString());

    [Fact]
    public async Task Inputs_can_be_in_parameters_or_beside_them_and_the_elements_determine_the_rows()
    {
        var answer = await AnswerAsync(
            "add",
            """{"a":[1,2,3,4],"mine":"x","parameters":{"b":[10,20,30,40],"priority":1,"timeout":60000000}}""");
        Assert.Equal("[11,22,33,44]", answer["sum"]!.ToJsonString());
        Assert.False(answer.ContainsKey("id"));
    }

    [Fact]
    public async Task Requests_are_run_and_counted_as_inferences()
    {
        var before = await CountAsync();
        using (var answer = await PostAsync("add/generate", """{"a":[1,2],"b":[3,4]}""")) Assert.StartsWith(
            "wait;dur=",
            answer.Headers.GetValues("Server-Timing").Single());
        using (var answer = await PostAsync("add/versions/1/generate", """{"a":[1,2],"b":[3,4]}"""))
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.Equal(before + 2, await CountAsync());

        async Task<int> CountAsync() => (int)JsonNode.Parse(
            await models.Worker.Client.GetStringAsync("/v2/models/add/stats"))!
            ["model_stats"]![0]!["inference_stats"]!["success"]!["count"]!;
    }

    [Fact]
    public async Task A_stream_is_one_event()
    {
        using var answer = await PostAsync("add/generate_stream", """{"id":"s","a":[1,2],"b":[3,4]}""");
        Assert.Equal("text/event-stream; charset=utf-8", answer.Content.Headers.ContentType!.ToString());
        Assert.Equal(
            """data: {"id":"s","model_name":"add","model_version":"1","sum":[4,6]}""" + "\n\n",
            await answer.Content.ReadAsStringAsync());
    }

    [Theory]
    [InlineData("add", """{"a":[1,2]}""", "unexpected key not found in generate request, expecting key 'b'")]
    [InlineData(
        "add",
        """{"text_input":"hello"}""",
        "expecting key 'a': the inputs of model 'add' are 'a' (FP32 [-1,2]), 'b' (FP32 [-1,2])")]
    [InlineData(
        "add",
        """{"a":[1,2,3],"b":[1,2]}""",
        "The schema can not convert input 'a' to tensor with proper shape")]
    [InlineData("add", """{"a":1,"b":[1,2]}""", "The schema can not convert input 'a' to tensor with proper shape")]
    [InlineData(
        "add",
        """{"a":[1,2,3,4],"b":[1,2]}""",
        "The batch size of input 'b' is '1'; expected 2, the batch size of input 'a'")]
    [InlineData("add", """{"a":[[1,2]],"b":[1,2]}""", "Input 'a' must be a value or a flat list of values")]
    [InlineData("add", """{"a":{"x":1},"b":[1,2]}""", "Input 'a' must be a value or a flat list of values")]
    [InlineData("id-bytes", """{"in":["a",["b"]]}""", "Input 'in' must be a value or a flat list of values")]
    [InlineData("add", """{"a":[1,2],"b":[1,"x"]}""", "input 'b': data has \"x\"")]
    [InlineData("id-fp32", """{"in":[1,,2]}""", "failed to parse the request JSON")]
    [InlineData("add", """{"a":[1,2],"b":null}""", "The schema can not convert input 'b'")]
    [InlineData("id-fp32", """{"in":null}""", "input 'in': data has null")]
    [InlineData("id-uint8", """{"in":256}""", "input 'in': data has 256")]
    [InlineData("id-bytes", """{"in":"\ud800"}""", "incomplete UTF-16")]
    [InlineData("add", """{"a":[1,2],"b":[1,2],"parameters":{"a":[1,2]}}""", "Input 'a' is specified twice")]
    [InlineData(
        "add",
        """{"a":[1,2],"b":[1,2],"mine":[1]}""",
        "Parameter 'mine' must be a string, a number or a boolean")]
    [InlineData("add", """{"a":[1,2],"b":[1,2],"triton_x":1}""", "reserved for Triton usage")]
    [InlineData("add", """{"a":[1,2],"b":[1,2],"timeout":-1}""", "'timeout' must be a whole number")]
    [InlineData("add", """{"a":[1,2],"b":[1,2],"parameters":7}""", "Unable to parse 'parameters'")]
    [InlineData("add", """{"a":[1,2],"b":[1,2]} {}""", "failed to parse the request JSON")]
    [InlineData("add", "[]", "The request body must be a JSON object")]
    [InlineData("lookup", """{"in":99}""", "indices element out of data bounds")]
    public async Task Invalid_requests_are_rejected_with_the_texts_of_Triton(string model, string body, string says)
    {
        foreach (var verb in new[] { "generate", "generate_stream" })
        {
            using var answer = await PostAsync($"{model}/{verb}", body);
            var error = (string?)JsonNode.Parse(await answer.Content.ReadAsStringAsync())!["error"];
            Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
            Assert.Contains(says, error, StringComparison.Ordinal);
        }
    }

    [Fact]
    public async Task Tensors_larger_than_the_body_limit_are_rejected_even_if_their_text_is_smaller()
    {
        var body = $$"""{"in":[{{string.Join(',', Enumerable.Repeat("1", 501))}}]}""";
        using var answer = await PostAsync("id-int64/generate", body);
        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        Assert.Contains(
            "request size of 4008 bytes with input 'in' exceeds the maximum allowed input size of 4000 bytes. "
            + "Use SLUICE_MAX_BODY_BYTES",
            await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_compressed_request_is_rejected()
    {
        using var content = new ByteArrayContent("{}"u8.ToArray());
        content.Headers.ContentEncoding.Add("gzip");
        using var answer = await models.Worker.Client.PostAsync("/v2/models/add/generate", content);
        Assert.Equal(HttpStatusCode.BadRequest, answer.StatusCode);
        Assert.Contains(
            "only 'identity' is supported",
            await answer.Content.ReadAsStringAsync(),
            StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("-1", 3, "3")]
    [InlineData("-1,-1", 3, "1,3")]
    [InlineData("-1,4", 8, "2,4")]
    [InlineData("-1,4", 0, "0,4")]
    [InlineData("-1,-1,2", 6, "1,3,2")]
    [InlineData("3,-1,2", 6, "3,1,2")]
    [InlineData("2,2", 4, "2,2")]
    [InlineData("", 1, "")]
    [InlineData("-1,0", 0, "1,0")]
    [InlineData("2,2", 8, null)]
    [InlineData("2,2", 0, null)]
    [InlineData("-1,4", 6, null)]
    [InlineData("", 2, null)]
    [InlineData("-1,0", 1, null)]
    public void Fixed_dimensions_divide_the_elements(string dimensions, long elements, string? shape)
    {
        var declared = dimensions.Split(',', StringSplitOptions.RemoveEmptyEntries).Select(long.Parse).ToArray();
        var spec = new TensorSpec("in", DataType.FromName("FP32")!, declared);
        var actual = GenerateInputsReader.Shape(spec, elements);
        Assert.Equal(shape, actual is null ? null : string.Join(',', actual));
    }

    private async Task<JsonObject> AnswerAsync(string model, string body)
    {
        using var answer = await PostAsync($"{model}/generate", body);
        var text = await answer.Content.ReadAsStringAsync();
        Assert.True(answer.StatusCode == HttpStatusCode.OK, text);
        Assert.Equal("application/json", answer.Content.Headers.ContentType!.ToString());
        return JsonNode.Parse(text)!.AsObject();
    }

    private Task<HttpResponseMessage> PostAsync(string path, string body) =>
        models.Worker.Client.PostAsync(
            $"/v2/models/{path}",
            new StringContent(body, Encoding.UTF8, "application/json"));
}
