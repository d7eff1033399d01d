using System.Net;
using System.Net.Http.Headers;
using System.Security.Cryptography;
using System.Text;
using Sluice.Worker.Doctor;
using Sluice.Worker.Models.Cache;
using Sluice.Worker.Providers;

namespace Sluice.Worker.Standby;

/// <summary>
/// A whole life of a worker with the smallest model there is, from its first listen to an answered request and its end: after it the
/// runtime's code is compiled, ONNX Runtime and the provider are initialised, and Kestrel has served.
/// </summary>
internal static class Rehearsal
{
    private const string Model = "rehearsal";

    /// <summary>Rehearses on what was wished for. A provider that is not there is told by the worker that needs it.</summary>
    /// <param name="wish">Providers and their options.</param>
    /// <param name="devicesLater">Of a GPU's provider nothing but its libraries is loaded.</param>
    public static async Task RunAsync(ProviderSettings wish, bool devicesLater)
    {
        if (devicesLater)
            foreach (var provider in wish.Wished) GpuLibraries.Load(GpuLibraries.For(provider), GpuLibraries.Folders(wish.CudaLibraryPath));
        var repository = Directory.CreateTempSubdirectory("sluice-rehearsal-").FullName;
        try
        {
            var version = Directory.CreateDirectory(Path.Combine(repository, Model, "1")).FullName;
            await File.WriteAllBytesAsync(Path.Combine(version, "model.onnx"), TinyOnnx.Bytes());
            await ServeAsync(new WorkerSettings
            {
                PodToken = Convert.ToHexString(RandomNumberGenerator.GetBytes(16)),
                ModelRepository = repository,
                Providers = wish with
                {
                    // TensorRT would build an engine; what it shares with CUDA is initialised by CUDA's own.
                    Wished = devicesLater ? ["cpu"] : [.. wish.Wished.Where(w => w != "tensorrt"), .. wish.Wished.Contains("cpu") ? Array.Empty<string>() : ["cpu"]],
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

    private static async Task ServeAsync(WorkerSettings settings)
    {
        using var server = new ModelServer(settings, new StartTimeline());
        await server.StartAsync(TextWriter.Null);
        using var client = new HttpClient(new SocketsHttpHandler { UseProxy = false });
        using var request = new HttpRequestMessage(HttpMethod.Post, $"{server.Addresses.First()}/v2/models/{Model}/infer");
        request.Version = HttpVersion.Version20;
        request.VersionPolicy = HttpVersionPolicy.RequestVersionExact;
        request.Headers.Authorization = new AuthenticationHeaderValue("Bearer", settings.PodToken);
        request.Content = new StringContent($$"""{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[{{string.Join(',', TinyOnnx.Input)}}]}]}""",
            Encoding.UTF8, "application/json");
        using var answer = await client.SendAsync(request);
        answer.EnsureSuccessStatusCode();
        await server.StopAsync();
    }
}
