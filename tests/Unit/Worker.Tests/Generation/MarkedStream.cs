using System.Globalization;
using System.Net;
using System.Text;

namespace Sluice.Worker.Tests.Generation;

/// <summary>A stream of the OpenAI API with the marks for a gateway, as a client of the worker received it.</summary>
/// <param name="Announced">What a continuation needs.</param>
/// <param name="Parts">The marks, each with the events after it.</param>
internal sealed record MarkedStream(string Announced, IReadOnlyList<(string Mark, string Events)> Parts)
{
    public string Text => string.Concat(Parts.Select(p => p.Events));

    /// <summary>Sends a request that asks for marks.</summary>
    public static Task<MarkedStream> StartAsync(HttpClient worker, string path, string body) =>
        SendAsync(worker, path, Encoding.UTF8.GetBytes(body), ("X-Sluice-Resume", "1"));

    /// <summary>Asks a worker for what follows the first parts of this stream.</summary>
    public Task<MarkedStream> ContinueAsync(HttpClient worker, string path, string body, int parts)
    {
        var marks = string.Concat(Parts.Take(parts).Select(p => p.Mark + " "));
        return SendAsync(worker, path, Encoding.UTF8.GetBytes(marks + body),
            ("X-Sluice-Resume", Announced), ("X-Sluice-Resume-Marks", $"{marks.Length}"));
    }

    /// <summary>Returns the status and the error of a continuation.</summary>
    public static async Task<(HttpStatusCode Status, string Body)> TryAsync(
        HttpClient worker, string path, string body, string announced, string marks)
    {
        using var request = Request(path, Encoding.UTF8.GetBytes(marks + body),
            ("X-Sluice-Resume", announced), ("X-Sluice-Resume-Marks", $"{marks.Length}"));
        using var response = await worker.SendAsync(request);
        return (response.StatusCode, await response.Content.ReadAsStringAsync());
    }

    private static HttpRequestMessage Request(
        string path, byte[] body, params ReadOnlySpan<(string Name, string Value)> headers)
    {
        var request = new HttpRequestMessage(HttpMethod.Post, path)
        {
            Content = new ByteArrayContent(body),
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
        };
        foreach (var (name, value) in headers) request.Headers.Add(name, value);
        return request;
    }

    private static async Task<MarkedStream> SendAsync(
        HttpClient worker, string path, byte[] body, params (string Name, string Value)[] headers)
    {
        using var request = Request(path, body, headers);
        using var response = await worker.SendAsync(request);
        var bytes = await response.Content.ReadAsByteArrayAsync();
        Assert.True(response.IsSuccessStatusCode, Encoding.UTF8.GetString(bytes));
        var parts = new List<(string, string)>();
        for (var at = 0; at < bytes.Length;)
        {
            var line = Encoding.ASCII.GetString(bytes, at, Array.IndexOf(bytes, (byte)'\n', at) - at);
            Assert.StartsWith(": ", line, StringComparison.Ordinal);
            var words = line.Split(' ');
            Assert.Equal(3, words.Length);
            var length = int.Parse(words[1], CultureInfo.InvariantCulture);
            parts.Add((words[2], Encoding.UTF8.GetString(bytes, at + line.Length + 1, length)));
            at += line.Length + 1 + length;
        }

        return new MarkedStream(response.Headers.GetValues("X-Sluice-Resume").Single(), parts);
    }
}
