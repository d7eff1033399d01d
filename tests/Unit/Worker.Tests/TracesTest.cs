using System.Globalization;
using System.Net;
using System.Text;
using Sluice.Testing;
using Sluice.Worker.Configuration;

namespace Sluice.Worker.Tests;

/// <summary>Tests the spans that a worker exports.</summary>
public sealed class TracesTest
{
    private const string Body = """
        {"inputs":[{"name":"a","datatype":"FP32","shape":[1],"data":[1]},
                   {"name":"b","datatype":"FP32","shape":[1],"data":[2]}]}
        """;

    [Theory]
    [InlineData(false)]
    [InlineData(true, "OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317")]
    [InlineData(true, "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "https://traces.example.com/v1/traces")]
    [InlineData(false, "OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317", "OTEL_SDK_DISABLED", "True")]
    [InlineData(false, "OTEL_EXPORTER_OTLP_ENDPOINT", "http://127.0.0.1:4317", "OTEL_TRACES_EXPORTER", "none")]
    public void Traces_are_exported_if_a_receiver_is_set_and_nothing_turns_them_off(
        bool exports, params string[] more) =>
        Assert.Equal(exports, Read(more).ExportsTraces);

    [Fact]
    public void A_receiver_that_is_no_URL_is_rejected()
    {
        var error = Assert.Throws<InvalidOperationException>(() => Read("OTEL_EXPORTER_OTLP_ENDPOINT", "host:4317"));
        Assert.StartsWith("OTEL_EXPORTER_OTLP_ENDPOINT is 'host:4317'; expected an http or https URL", error.Message,
            StringComparison.Ordinal);
    }

    [Fact]
    [Trait("Needs", "publish")]
    public async Task Requests_of_one_batch_link_to_each_other_and_only_recorded_requests_have_spans()
    {
        using var receiver = new OtlpReceiver();
        var folder = Directory.CreateTempSubdirectory("sluice-traces-").FullName;
        TinyModel.Put(folder, "add", TinyModel.Add("FP32", -1));
        await using (var worker = await WorkerProcess.StartAsync(
            folder, receiver.Environment(("SLUICE_POD_ID", "add-1"), ("OTEL_SERVICE_NAME", "adder"))))
        {
            using var unrecorded = await InferAsync(worker.Client, $"00-{Guid.NewGuid():N}-b7ad6b7169203331-00");
            using var without = await InferAsync(worker.Client, null);
            Assert.Equal((HttpStatusCode.OK, HttpStatusCode.OK), (unrecorded.StatusCode, without.StatusCode));
            // Requests share a batch when they arrive while another one runs.
            for (var round = 0; round < 200 && !receiver.Spans.Any(IsShared); round++)
            {
                var before = receiver.Spans.Count(s => s.Name == "batch");
                const int count = 64;
                await Task.WhenAll(Enumerable.Range(0, count).Select(async _ =>
                {
                    var parent = $"00-{Guid.NewGuid():N}-b7ad6b7169203331-01";
                    using var response = await InferAsync(worker.Client, parent);
                    Assert.Equal(HttpStatusCode.OK, response.StatusCode);
                }));
                await receiver.SpansAsync(s => s.Name == "batch", s => s.Count == before + count);
            }
        }

        Assert.Contains(receiver.Spans, IsShared);
        var spans = receiver.Spans.ToLookup(s => s.SpanId);
        Assert.All(receiver.Spans, s => Assert.Equal(
            ("adder", "add-1"), (s.Service, s.Resource["service.instance.id"])));
        var requests = receiver.Spans.Where(s => s.Name == "POST /v2/models/{model}/infer").ToList();
        Assert.All(requests, r => Assert.Equal("b7ad6b7169203331", r.ParentId));
        var batches = receiver.Spans.Where(s => s.Name == "batch").ToList();
        Assert.Equal(requests.Count, batches.Count);
        foreach (var batch in batches)
        {
            Assert.Equal(Number(batch.Links.Count + 1), batch.Attributes["sluice.batch.requests"]);
            Assert.All(batch.Links, l =>
            {
                var other = Assert.Single(spans[l.SpanId]);
                Assert.Equal(("POST /v2/models/{model}/infer", l.TraceId), (other.Name, other.TraceId));
                Assert.NotEqual(batch.TraceId, other.TraceId);
            });
            Assert.Equal("run", Assert.Single(receiver.Spans, s => s.ParentId == batch.SpanId).Name);
        }

        Directory.Delete(folder, recursive: true);
    }

    private static bool IsShared(TraceSpan span) => span is { Name: "batch", Links.Count: > 0 };

    private static WorkerSettings Read(params string[] variables)
    {
        var all = variables.Chunk(2).ToDictionary(v => v[0], v => v[1]);
        all["SLUICE_POD_TOKEN"] = "token";
        return WorkerSettings.Read(all.GetValueOrDefault);
    }

    private static async Task<HttpResponseMessage> InferAsync(HttpClient client, string? parent)
    {
        using var request = new HttpRequestMessage(HttpMethod.Post, "/v2/models/add/infer")
        {
            Version = HttpVersion.Version20,
            VersionPolicy = HttpVersionPolicy.RequestVersionExact,
            Content = new StringContent(Body, Encoding.UTF8, "application/json"),
        };
        if (parent is not null) request.Headers.Add("traceparent", parent);
        return await client.SendAsync(request);
    }

    private static string Number(int number) => number.ToString(CultureInfo.InvariantCulture);
}
