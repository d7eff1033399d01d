using System.Net;
using System.Text;
using Sluice.Testing;

namespace Sluice.InProcess.Tests;

/// <summary>Endpoints whose model comes from a server: real workers, and a server of models on loopback.</summary>
[Trait("Needs", "publish")]
public sealed class ModelDeliveryTest : IDisposable
{
    private const string Workers = "/api/v1/endpoints/digits/workers";

    private readonly ModelServer server = new();

    public void Dispose() => server.Dispose();

    [Fact]
    public async Task A_model_of_a_repository_is_downloaded_once_for_two_endpoints_and_its_progress_is_the_reason()
    {
        server.AddRepository("owner/digits", "v1", "c0ffee", Files("digits"));
        server.HoldAfter = 5000;
        await using var gateway = await StartAsync("""
              - { id: digits, template: onnx, model: { source: "hf://owner/digits@v1" }, scaling: { min: 0, max: 1 } }
              - { id: same, template: onnx, model: { source: "hf://owner/digits@v1" }, scaling: { min: 0, max: 1 } }
            """);
        var first = InferAsync(gateway, "digits");
        var second = InferAsync(gateway, "same");
        await server.Held.Task.WaitAsync(ChildProcess.Patience);
        await gateway.UntilAsync(Workers, w => w["workers"]!.AsArray().Any(p => (string?)p!["state"] == "starting"
            && ((string)p["reason"]!).StartsWith(
                "model hf://owner/digits@v1: downloading, ", StringComparison.Ordinal)));
        var starting = Assert.Single(await gateway.WorkersAsync("digits"));
        var download = starting["download"]!;
        Assert.Equal("hf://owner/digits@v1", (string?)download["source"]);
        Assert.Equal("1/model.onnx", (string?)download["file"]);
        Assert.Equal(Total("digits"), (long?)download["totalBytes"]);
        Assert.InRange((long)download["bytes"]!, 0, Total("digits"));
        server.Release.SetResult();
        Assert.Equal([HttpStatusCode.OK, HttpStatusCode.OK], await Task.WhenAll(first, second));
        Assert.Single(server.Requests, r => r.Path.EndsWith("/model.onnx", StringComparison.Ordinal));
        var worker = Assert.Single(await gateway.WorkersAsync("digits", "ready"));
        Assert.Null(worker["download"]);
        Assert.Contains(worker["stages"]!.AsArray(), s => (string?)s!["name"] == "download");
        await gateway.Log.EventAsync(
            e => e.Is("ModelDownloaded", ("Source", "hf://owner/digits@v1")), "ModelDownloaded");
    }

    [Fact]
    public async Task A_model_that_cannot_be_downloaded_is_the_reason_of_the_refusal_until_it_can()
    {
        await using var gateway = await StartAsync("""
              - { id: digits, template: onnx, model: { source: "hf://owner/digits" }, scaling: { min: 0, max: 1 } }
            """);
        using var body = new StringContent(RunningGateway.Example("digits"), Encoding.UTF8, "application/json");
        using var answer = await gateway.Client.PostAsync(new Uri("/v2/models/digits/infer", UriKind.Relative), body);
        Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.StatusCode);
        Assert.Contains("127.0.0.1 answered 404", await answer.Content.ReadAsStringAsync(), StringComparison.Ordinal);

        server.AddRepository("owner/digits", "main", "c0ffee", Files("digits"));
        await gateway.UntilAsync(Workers, w => w["workers"]!.AsArray().Any(p => (string?)p!["state"] == "ready"));
        Assert.Equal(HttpStatusCode.OK, await InferAsync(gateway, "digits"));
    }

    [Fact]
    public async Task A_program_gets_the_folder_of_its_model_in_its_environment()
    {
        server.Add("/weights.bin", "seven"u8.ToArray());
        await using var gateway = await InProcessGateway.StartAsync($$"""
            templates:
              - name: files
                command: [sh, -c, "cd $SLUICE_MODEL_PATH && exec python3 -m http.server $PORT --bind 127.0.0.1"]
                protocol: http1
                readyPath: /
            endpoints:
              - { id: files, template: files, model: { source: "{{server.Uri}}weights.bin" }, scaling: { max: 1 } }
            """);
        Assert.Equal("seven", await gateway.Client.GetStringAsync(new Uri("/e/files/weights.bin", UriKind.Relative)));
    }

    private static long Total(string model) => Files(model).Sum(f => f.Content.Length);

    private static (string Name, byte[] Content)[] Files(string model)
    {
        var folder = Path.Combine(Repository.Models, model);
        return
        [
            .. Directory.EnumerateFiles(Path.Combine(folder, "1"))
                .Select(f => (Path.GetRelativePath(folder, f), File.ReadAllBytes(f))),
        ];
    }

    private static async Task<HttpStatusCode> InferAsync(InProcessGateway gateway, string model)
    {
        using var body = new StringContent(RunningGateway.Example("digits"), Encoding.UTF8, "application/json");
        using var answer = await gateway.Client.PostAsync(new Uri($"/v2/models/{model}/infer", UriKind.Relative), body);
        return answer.StatusCode;
    }

    private Task<InProcessGateway> StartAsync(string endpoints)
    {
        var settings = InProcessGateway.WithWorker();
        settings["SLUICE_HF_ENDPOINT"] = server.Uri.ToString();
        return InProcessGateway.StartAsync($"templates: [{{ name: onnx }}]\nendpoints:\n{endpoints}", settings);
    }
}
