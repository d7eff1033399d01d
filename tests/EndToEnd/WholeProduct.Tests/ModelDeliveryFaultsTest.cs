using System.Net;
using System.Text;
using Sluice.Testing;

namespace Sluice.WholeProduct.Tests;

/// <summary>Faults of the delivery of models, with the published gateway.</summary>
public sealed class ModelDeliveryFaultsTest
{
    private const int Kill = 9;

    [Fact]
    public async Task A_gateway_that_is_killed_in_a_download_continues_it_after_its_restart()
    {
        const int held = 20_000;
        using var server = new ModelServer { HoldAfter = held };
        var content = await File.ReadAllBytesAsync(Path.Combine(Repository.Models, "digits", "1", "model.onnx"));
        server.Add("/digits.onnx", content);
        var manifest = $$"""
            templates: [{ name: onnx }]
            endpoints:
              - id: digits
                template: onnx
                model: { source: "{{server.Uri}}digits.onnx", sha256: "{{ModelServer.Sha256(content)}}" }
                scaling: { min: 1, max: 1 }
            """;
        var folder = Directory.CreateTempSubdirectory("sluice-delivery-").FullName;
        var key = "an-admin-key-of-this-test";
        var settings = new Dictionary<string, string?> { ["SLUICE_ADMIN_KEY"] = key };
        await using (var killed = await GatewayProcess.StartAsync(manifest, folder, settings))
        {
            await server.Held.Task.WaitAsync(ChildProcess.Patience);
            await Eventually.HoldsAsync(() => Directory
                .EnumerateFiles(Path.Combine(folder, "data", "models"), "*.part", SearchOption.AllDirectories)
                .Any(f => new FileInfo(f).Length == held));
            killed.Process.Signal(Kill);
            await killed.Process.ExitAsync();
        }

        server.HoldAfter = int.MaxValue;
        await using (var gateway = await GatewayProcess.StartAsync(manifest, folder, settings))
        {
            using var body = new StringContent(GatewayProcess.Example("digits"), Encoding.UTF8, "application/json");
            using var answer = await gateway.Client.PostAsync(
                new Uri("/v2/models/digits/infer", UriKind.Relative), body);
            Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
            Assert.Equal([null, $"bytes={held}-"], server.Requests.Select(r => r.Headers.GetValueOrDefault("Range")));
        }

        Directory.Delete(folder, recursive: true);
    }
}
