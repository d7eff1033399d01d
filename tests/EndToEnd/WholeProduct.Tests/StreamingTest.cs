using System.Globalization;
using System.Net;
using System.Net.Sockets;
using System.Text;
using System.Text.Json.Nodes;
using System.Text.RegularExpressions;
using Sluice.Testing;

namespace Sluice.WholeProduct.Tests;

/// <summary>
/// Tests that events are forwarded immediately, and that generation stops when the client disconnects.
/// </summary>
public sealed partial class StreamingTest
{
    private const int MaxAttempts = 50;

    private const string Long =
        """{"text_input":"Once upon a time","parameters":{"max_tokens":480,"temperature":1,"seed":5,"ignore_eos":true}}""";

    [Fact]
    public async Task A_client_that_disconnects_stops_the_generation()
    {
        await using var gateway = await GatewayProcess.StartAsync(Manifests.With(Manifests.Endpoint("story")),
            environment: new Dictionary<string, string?> { ["SLUICE_LOG_LEVEL"] = "Debug" });
        // The generation takes a third of a second. On a busy machine the client may disconnect after its end, or the
        // worker may complete before it notices. Such an attempt has no result and is repeated.
        var (mark, read, gone, left) = (0, 0, 0, false);
        for (var attempt = 1; attempt <= MaxAttempts && !left; attempt++)
        {
            mark = gateway.Process.Mark;
            read = await ReadEventsAsync(gateway, 3);
            var end = await gateway.EventAsync(e => e.Name is "RequestForwarded" or "RequestRefused"
                && e["Outcome"] is "ClientGone" or "Answered", "RequestForwarded", mark);
            if (end["Outcome"] == "ClientGone") gone++;
            var stats = await gateway.UntilAsync("/v2/models/story/stats", s =>
                CountOf(s, "success") + CountOf(s, "fail") == attempt);
            left = CountOf(stats, "fail") > 0;
        }

        Assert.True(left, $"{MaxAttempts} times the generation was over before the client left");
        var line = await gateway.Process.LineAsync("the client is gone", mark);
        var made = int.Parse(Stopped().Match(line).Groups[1].Value, CultureInfo.InvariantCulture);
        // On a busy machine the generation goes on for a while until the client has left, but not to its 480 tokens.
        Assert.InRange(made, read, 479);
        Assert.Equal(0, await gateway.MetricAsync("sluice_requests_in_flight"));
        Assert.Equal(gone, await gateway.MetricAsync("sluice_requests_total", "outcome=\"client_gone\""));

        static int CountOf(JsonObject stats, string end) =>
            (int)stats["model_stats"]![0]!["inference_stats"]![end]!["count"]!;
    }

    [Fact]
    public async Task The_first_event_arrives_while_the_worker_still_generates()
    {
        await using var gateway = await GatewayProcess.StartAsync(Manifests.With(Manifests.Endpoint("story")));
        // On a busy machine the generation may be over before the metric is read. Such an attempt has no result and is
        // repeated.
        var inFlight = 0.0;
        for (var attempt = 0; attempt < MaxAttempts && inFlight == 0; attempt++)
        {
            using var request = new HttpRequestMessage(HttpMethod.Post,
                "/v2/models/story/generate_stream") { Content = new StringContent(Long) };
            using var answer = await gateway.Client.SendAsync(request, HttpCompletionOption.ResponseHeadersRead);
            using var reader = new StreamReader(await answer.Content.ReadAsStreamAsync());
            await reader.ReadLineAsync();
            inFlight = await gateway.MetricAsync("sluice_requests_in_flight");
            var events = 1;
            while (await reader.ReadLineAsync() is { } line)
                if (line.StartsWith("data: ", StringComparison.Ordinal)) events++;
            Assert.True(events > 400, $"{events} events");
        }

        Assert.Equal(1, inFlight);
    }

    /// <summary>
    /// Reads events from a dedicated connection and closes it after enough events, as a killed curl does.
    /// </summary>
    private static async Task<int> ReadEventsAsync(GatewayProcess gateway, int enough)
    {
        using var client = new TcpClient();
        await client.ConnectAsync(IPAddress.Loopback, gateway.Url.Port);
        var stream = client.GetStream();
        await stream.WriteAsync(Encoding.ASCII.GetBytes("POST /v2/models/story/generate_stream HTTP/1.1\r\nHost: "
            + "x\r\nConnection: close\r\n"
            + $"Authorization: Bearer {gateway.Key}\r\nContent-Length: {Long.Length}\r\n\r\n{Long}"));
        using var reader = new StreamReader(stream, Encoding.UTF8);
        var read = 0;
        while (read < enough && await reader.ReadLineAsync() is { } line)
            if (line.StartsWith("data: ", StringComparison.Ordinal)) read++;
        return read;
    }

    [GeneratedRegex("stopped after ([0-9]+) tokens")]
    private static partial Regex Stopped();
}
