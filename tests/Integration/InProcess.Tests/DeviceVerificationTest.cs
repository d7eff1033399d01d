using System.Net;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.InProcess.Tests;

/// <summary>
/// Tests with the built-in worker, and a program in place of nvidia-smi, that a worker reports the GPU that it got and
/// does not serve with another one than its template requires.
/// </summary>
[Trait("Needs", "publish")]
public sealed class DeviceVerificationTest : IAsyncLifetime
{
    private const string Uuid = "GPU-5c89852c-d268-c3f3-1b07-005d5ae1dc3f";
    private const string Workers = "/api/v1/endpoints/digits/workers";

    private readonly string folder = Directory.CreateTempSubdirectory("sluice-smi-").FullName;

    public ValueTask InitializeAsync() => ValueTask.CompletedTask;

    public ValueTask DisposeAsync()
    {
        Directory.Delete(folder, recursive: true);
        return ValueTask.CompletedTask;
    }

    [Fact]
    public async Task A_worker_reports_its_gpu()
    {
        await using var gateway = await StartAsync(
            "echo 0, $CUDA_VISIBLE_DEVICES, NVIDIA L4, 580.95, 8.9, [N/A], 23034, 0, 0");
        using var answer = await gateway.Client.GetAsync(new Uri("/v2/models/digits", UriKind.Relative));
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        var worker = Assert.Single((await gateway.GetAsync(Workers))["workers"]!.AsArray())!;
        var device = Assert.Single(worker["reportedDevices"]!.AsArray())!;
        Assert.Equal((Uuid, "NVIDIA L4", 23034, "8.9", "580.95"),
            ((string?)device["uuid"], (string?)device["name"], (int)device["memoryMiB"]!,
                (string?)device["computeCapability"], (string?)device["driver"]));
        Assert.Equal($"""["{Uuid}"]""", worker["devices"]!.ToJsonString());
    }

    [Fact]
    public async Task A_worker_with_another_gpu_does_not_serve()
    {
        await using var gateway = await StartAsync(
            "echo 0, $CUDA_VISIBLE_DEVICES, Tesla T4, 580.95, 7.5, [N/A], 15360, 0, 0");
        using var answer = await gateway.Client.GetAsync(new Uri("/v2/models/digits", UriKind.Relative));
        Assert.Equal(HttpStatusCode.ServiceUnavailable, answer.StatusCode);
        var error = JsonNode.Parse(await answer.Content.ReadAsStringAsync())!["error"];
        Assert.Contains($"the worker got Tesla T4 ({Uuid}), and gpu.types is L4", (string?)error,
            StringComparison.Ordinal);
    }

    [Fact]
    public async Task A_worker_that_cannot_say_which_gpu_it_got_serves_and_this_is_logged()
    {
        await using var gateway = await StartAsync(
            "echo 'NVIDIA-SMI has failed because it could not communicate with the NVIDIA driver. Make sure that the "
                + "latest NVIDIA driver is installed and running.'; exit 9");
        using var answer = await gateway.Client.GetAsync(new Uri("/v2/models/digits", UriKind.Relative));
        Assert.Equal(HttpStatusCode.OK, answer.StatusCode);
        Assert.Contains(gateway.Log.Entries, e => e.Is("WorkerDevicesUnknown", ("Endpoint", "digits")));
        var worker = Assert.Single((await gateway.GetAsync(Workers))["workers"]!.AsArray())!;
        Assert.Equal("[]", worker["reportedDevices"]!.ToJsonString());
    }

    private async Task<InProcessGateway> StartAsync(string script)
    {
        var program = Path.Combine(folder, "nvidia-smi");
        await File.WriteAllTextAsync(program, $"#!/bin/sh\n{script}\n");
        if (!OperatingSystem.IsWindows())
            File.SetUnixFileMode(program, UnixFileMode.UserRead | UnixFileMode.UserWrite | UnixFileMode.UserExecute);
        var inventory = Path.Combine(folder, "gpus.json");
        await File.WriteAllTextAsync(inventory, $$"""{ "gpus": [{ "name": "NVIDIA L4", "uuid": "{{Uuid}}" }] }""");
        var settings = InProcessGateway.WithWorker();
        settings["SLUICE_GPU_INVENTORY"] = inventory;
        return await InProcessGateway.StartAsync($$"""
            templates:
              - name: onnx-gpu
                gpu: { types: [L4] }
                env: { PATH: "{{folder}}:/usr/bin:/bin", SLUICE_EXECUTION_PROVIDERS: cpu }
            endpoints:
              - { id: digits, template: onnx-gpu, scaling: { min: 0, max: 1, idleTimeout: 600s } }
            """, settings);
    }
}
