using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using Sluice.Worker.Configuration;
using Sluice.Worker.Devices;
using Sluice.Worker.Doctor;
using Sluice.Worker.Providers;
using Sluice.Worker.Startup;

namespace Sluice.Worker.Standby;

/// <summary>
/// Runs a complete worker with a minimal model: it listens, answers one request and stops. Afterwards the .NET code
/// is compiled, ONNX Runtime and the execution provider are initialized, and Kestrel has served a request.
/// </summary>
internal static class WarmUpRun
{
    private const string Model = "rehearsal";

    /// <summary>
    /// Runs the worker on the requested providers. A provider that is not available is skipped here; the worker that
    /// needs it reports the error.
    /// </summary>
    /// <param name="requested">Providers and their options.</param>
    /// <param name="devicesLater">
    /// Whether only the libraries of a GPU provider are loaded, and no device is used.
    /// </param>
    public static async Task RunAsync(ProviderSettings requested, bool devicesLater)
    {
        if (devicesLater)
            foreach (var provider in requested.Requested)
                GpuLibraries.Load(GpuLibraries.For(provider), GpuLibraries.Folders(requested.CudaLibraryPath));
        var repository = Directory.CreateTempSubdirectory("sluice-rehearsal-").FullName;
        try
        {
            var version = Directory.CreateDirectory(Path.Combine(repository, Model, "1")).FullName;
            await File.WriteAllBytesAsync(Path.Combine(version, "model.onnx"), MinimalOnnxModel.Bytes());
            await ServeAsync(new WorkerSettings
            {
                PodToken = Convert.ToHexString(RandomNumberGenerator.GetBytes(16)),
                ModelRepository = repository,
                Providers = requested with
                {
                    Requested = devicesLater ? ["cpu"] : Providers(requested.Requested),
                    Policy = ProviderPolicy.Prefer,
                },
                Cache = new CacheSettings(),
                Drain = TimeSpan.FromSeconds(1),
            });
        }
        finally
        {
            Directory.Delete(repository, recursive: true);
        }
    }

    /// <summary>
    /// Returns the requested providers without TensorRT, and with the CPU. TensorRT is omitted because it would build
    /// an engine; the CUDA provider initializes the parts that both use.
    /// </summary>
    private static string[] Providers(IReadOnlyList<string> requested) =>
    [
        .. requested.Where(p => p != "tensorrt"),
        .. requested.Contains("cpu") ? Array.Empty<string>() : ["cpu"],
    ];

    private static async Task ServeAsync(WorkerSettings settings)
    {
        using var server = new ModelServer(settings, new StartTimeline());
        await server.StartAsync(TextWriter.Null);
        using var client = new HttpClient(new SocketsHttpHandler { UseProxy = false });
        var url = $"{server.Addresses.First()}/v2/models/{Model}/infer";
        using var request = new HttpRequestMessage(HttpMethod.Post, url);
        request.Version = HttpVersion.Version20;
        request.VersionPolicy = HttpVersionPolicy.RequestVersionExact;
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", settings.PodToken);
        var data = string.Join(',', MinimalOnnxModel.Input);
        request.Content = new StringContent(
            $$"""{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[{{data}}]}]}""",
            Encoding.UTF8,
            "application/json");
        using var response = await client.SendAsync(request);
        response.EnsureSuccessStatusCode();
        await server.StopAsync();
    }
}
