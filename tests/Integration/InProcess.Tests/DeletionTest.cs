using System.Net;
using System.Text;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.InProcess.Tests;

/// <summary>Tests the deletion of an endpoint with jobs, and a new declaration with the same id.</summary>
public sealed class DeletionTest
{
    [Fact]
    public async Task Jobs_of_a_deleted_endpoint_are_cancelled_only_with_force_and_never_run_at_its_successor()
    {
        var log = Path.GetTempFileName();
        await using var gateway = await InProcessGateway.StartAsync(Jobs.Manifest(log, concurrency: 1));
        var jobs = new Jobs(gateway, "temp");
        await DeclareAsync();
        var sleep = JsonNode.Parse("""{"do":"sleep","ms":60000}""")!;
        var running = await jobs.RunAsync(sleep);
        await Eventually.HoldsAsync(() => StubLog.Lines(log).Contains($"begin {running} 1"));
        string[] waiting = [await jobs.RunAsync(sleep), await jobs.RunAsync(sleep)];

        var (status, refused) = await DeleteAsync("");
        Assert.Equal(HttpStatusCode.Conflict, status);
        Assert.Contains("has 2 queued and 1 running jobs", (string?)refused!["detail"], StringComparison.Ordinal);
        Assert.Equal(HttpStatusCode.Conflict, (await DeleteAsync("?dryRun=true")).Status);
        Assert.Equal(HttpStatusCode.BadRequest, (await DeleteAsync("?force=yes")).Status);
        Assert.Equal("IN_PROGRESS", (string?)(await jobs.GetAsync($"status/{running}"))["status"]);

        (status, var deleted) = await DeleteAsync("?force=true");
        Assert.Equal(HttpStatusCode.OK, status);
        Assert.Equal("""{"id":"temp","cancelledJobs":{"queued":2,"running":1}}""", deleted!.ToJsonString());
        await Eventually.HoldsAsync(() => StubLog.Lines(log).Contains($"stopped {running} 1"));

        await DeclareAsync();
        Assert.Equal("COMPLETED", (string?)(await jobs.RunSyncAsync(1))["status"]);
        foreach (var id in waiting.Append(running))
        {
            using var gone = await gateway.Client.GetAsync(new Uri($"/v2/temp/status/{id}", UriKind.Relative));
            Assert.Equal(HttpStatusCode.NotFound, gone.StatusCode);
        }

        Assert.Equal(2, StubLog.Lines(log).Count(l => l.StartsWith("begin ", StringComparison.Ordinal)));
        await jobs.QuietAsync();
        Assert.Equal(HttpStatusCode.NoContent, (await DeleteAsync("")).Status);
        StubLog.Delete(log);

        async Task DeclareAsync()
        {
            using var body = new StringContent("""{"id":"temp","template":"stub","scaling":{"max":1}}""", Encoding.UTF8,
                "application/json");
            using var answer = await gateway.Client.PostAsync(new Uri("/api/v1/endpoints", UriKind.Relative), body);
            Assert.Equal(HttpStatusCode.Created, answer.StatusCode);
        }

        async Task<(HttpStatusCode Status, JsonNode? Body)> DeleteAsync(string query)
        {
            using var answer = await gateway.Client.DeleteAsync(new Uri("/api/v1/endpoints/temp" + query,
                UriKind.Relative));
            var text = await answer.Content.ReadAsStringAsync();
            return (answer.StatusCode, text.Length > 0 ? JsonNode.Parse(text) : null);
        }
    }
}
