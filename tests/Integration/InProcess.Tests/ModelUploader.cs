using System.Formats.Tar;
using System.Net;
using System.Net.Http.Headers;
using System.Net.Sockets;
using System.Text;
using Sluice.Testing;

namespace Sluice.InProcess.Tests;

/// <summary>Uploads models to a gateway, whose folder of uploads it has.</summary>
internal sealed class ModelUploader : IDisposable
{
    /// <summary>A model of 1.1 MB.</summary>
    public static byte[] Digits { get; } =
        File.ReadAllBytes(Path.Combine(Repository.Models, "digits", "1", "model.onnx"));

    /// <summary>The value of <c>SLUICE_MODEL_UPLOADS</c>.</summary>
    public string Folder { get; } = Directory.CreateTempSubdirectory("sluice-uploads-").FullName;

    public void Dispose() => Directory.Delete(Folder, recursive: true);

    /// <summary>The settings of a gateway with this folder.</summary>
    public Dictionary<string, string?> Settings()
    {
        var settings = InProcessGateway.WithWorker();
        settings["SLUICE_MODEL_UPLOADS"] = Folder;
        return settings;
    }

    /// <summary>What is stored except locks: versions, and uploads that are not complete.</summary>
    public IEnumerable<string> Stored() => Directory.EnumerateFileSystemEntries(Folder, "*", SearchOption.AllDirectories)
        .Select(e => Path.GetRelativePath(Folder, e))
        .Where(e => e != ".incoming" && !e.EndsWith(".lock", StringComparison.Ordinal)
            && !e.EndsWith(".use", StringComparison.Ordinal));

    public static byte[] Tar(params (string Path, byte[] Content)[] files)
    {
        var bytes = new MemoryStream();
        using (var writer = new TarWriter(bytes, leaveOpen: true))
            foreach (var (path, content) in files)
                writer.WriteEntry(new PaxTarEntry(TarEntryType.RegularFile, path)
                {
                    DataStream = new MemoryStream(content),
                });
        return bytes.ToArray();
    }

    /// <summary>Returns the state of <c>m/1</c>, and its bytes.</summary>
    public static async Task<(string?, int?)> StateAsync(InProcessGateway gateway)
    {
        var view = await gateway.GetAsync("/api/v1/models/m/1");
        return ((string?)view["state"], (int?)view["bytes"]);
    }

    public static Task<Answer> PutAsync(
        InProcessGateway gateway, string path, byte[] body, (long From, long To, long Total)? range = null)
    {
        var content = new ByteArrayContent(body);
        if (range is { } r) content.Headers.ContentRange = new ContentRangeHeaderValue(r.From, r.To, r.Total);
        return SendAsync(gateway, HttpMethod.Put, path, content);
    }

    /// <summary>Puts a part of <c>m/1</c> when the request whose connection was cut has ended.</summary>
    public static Task<Answer> EventuallyPutAsync(InProcessGateway gateway, byte[] body, (long, long, long) range) =>
        Eventually.BecomesAsync(() => PutAsync(gateway, "m/1", body, range),
            a => !a.Text.Contains("Another request", StringComparison.Ordinal));

    public static async Task<Answer> SendAsync(
        InProcessGateway gateway, HttpMethod method, string path, HttpContent? content = null)
    {
        using var request = new HttpRequestMessage(method, $"/api/v1/models/{path}") { Content = content };
        using var answer = await gateway.Client.SendAsync(request);
        return new Answer(answer.StatusCode, await answer.Content.ReadAsStringAsync(),
            answer.Headers.TryGetValues("Range", out var values) ? values.First() : null);
    }

    /// <summary>Sends the beginning of a part of <c>m/1</c>, and waits until the gateway has it.</summary>
    public static async Task<TcpClient> BeginAsync(
        InProcessGateway gateway, byte[] sent, (long From, long To, long Total) range)
    {
        var client = new TcpClient();
        await client.ConnectAsync(gateway.Url.Host, gateway.Url.Port);
        var stream = client.GetStream();
        await stream.WriteAsync(Encoding.ASCII.GetBytes($"PUT /api/v1/models/m/1 HTTP/1.1\r\nHost: x\r\n"
            + $"Authorization: Bearer {gateway.Key}\r\nContent-Length: {range.To - range.From + 1}\r\n"
            + $"Content-Range: bytes {range.From}-{range.To}/{range.Total}\r\n\r\n"));
        await stream.WriteAsync(sent);
        await UntilReceivedAsync(gateway, range.From + sent.Length);
        return client;
    }

    /// <summary>Waits until the gateway has a number of bytes of <c>m/1</c>.</summary>
    public static Task UntilReceivedAsync(InProcessGateway gateway, long bytes) => Eventually.HoldsAsync(async () =>
    {
        var answer = await SendAsync(gateway, HttpMethod.Get, "m/1");
        return answer.Text.Contains($"\"bytes\":{bytes},", StringComparison.Ordinal);
    });

    internal sealed record Answer(HttpStatusCode Status, string Text, string? Range);
}
