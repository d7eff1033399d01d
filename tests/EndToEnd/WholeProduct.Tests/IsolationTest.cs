using System.Net;
using System.Net.Http.Json;
using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.WholeProduct.Tests;

/// <summary>A job or a request that kills its worker harms no other one: what lost its worker runs alone from then on.</summary>
[Trait("Matrix", "fault")]
public sealed class IsolationTest : IDisposable
{
    private const int Innocents = 7;

    private static readonly JsonNode Innocent = JsonNode.Parse("""{"do":"sleep","ms":300}""")!;
    private static readonly JsonNode Poison = JsonNode.Parse("""{"do":"die","ms":100}""")!;

    private readonly string log = Path.GetTempFileName();

    public void Dispose() => StubLog.Delete(log);

    [Trait("Fault", "W12")]
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task Jobs_of_another_key_complete_beside_a_job_that_kills_every_worker(int workers)
    {
        await using var gateway = await StartAsync(workers);
        var (bad, good) = (await JobsOfAsync(gateway, "a"), await JobsOfAsync(gateway, "b"));
        var poison = bad.RunAsync(Poison);
        var innocent = await Task.WhenAll(Enumerable.Range(0, Innocents).Select(_ => good.RunAsync(Innocent)));

        foreach (var id in innocent) Assert.Equal("COMPLETED", (string?)(await good.EndAsync(id))["status"]);
        var dead = await bad.EndAsync(await poison);
        Assert.Equal(("FAILED", "ATTEMPTS_EXHAUSTED"), ((string?)dead["status"], (string?)dead["errorInfo"]!["code"]));
        // The limit is 3, and at most one loss beside other work does not count.
        Assert.InRange(dead["attempts"]!.AsArray().Count, 3, 4);
        await new Jobs(gateway).QuietAsync();
        FaultMatrix.Seen("W12", $"{workers} worker(s): {innocent.Length} of {innocent.Length} jobs COMPLETED beside poison, ",
            $"a dead letter after {dead["attempts"]!.AsArray().Count} kills");
    }

    [Trait("Fault", "W12")]
    [Theory]
    [InlineData(1)]
    [InlineData(2)]
    [InlineData(3)]
    public async Task Requests_of_another_key_are_answered_beside_a_request_that_kills_every_worker(int workers)
    {
        await using var gateway = await StartAsync(workers);
        using var bad = gateway.ClientFor(await KeyAsync(gateway, "a"));
        using var good = gateway.ClientFor(await KeyAsync(gateway, "b"));
        var poison = SendAsync(bad, "poison", Poison);
        var answers = await Task.WhenAll(Enumerable.Range(0, Innocents).Select(n => SendAsync(good, $"innocent-{n}", Innocent)));

        Assert.All(answers, status => Assert.Equal(HttpStatusCode.OK, status));
        Assert.Equal(HttpStatusCode.BadGateway, await poison);
        Assert.InRange(Begun("poison"), 3, 4);
        await FaultsTest.SlotsExactAsync(gateway, "stub");
        FaultMatrix.Seen("W12", $"{workers} worker(s): {answers.Length} of {answers.Length} requests answered beside poison, ",
            $"which got 502 after {Begun("poison")} kills");
    }

    [Fact]
    public async Task Requests_at_one_gateway_are_answered_beside_a_job_at_another_one_that_kills_every_worker()
    {
        await using var cluster = new JobCluster();
        await cluster.Redis.InitializeAsync();
        var manifest = Jobs.Manifest(cluster.Log);
        await using var first = await cluster.StartAsync(manifest: manifest);
        await using var second = await cluster.StartAsync(manifest: manifest);
        await new Jobs(first).RunSyncAsync(1);
        var answers = Enumerable.Range(0, Innocents).Select(n => SendAsync(second.Client, $"innocent-{n}", Innocent)).ToList();
        var poison = await new Jobs(first).RunAsync(Poison);

        Assert.All(await Task.WhenAll(answers), status => Assert.Equal(HttpStatusCode.OK, status));
        Assert.Equal("ATTEMPTS_EXHAUSTED", (string?)(await new Jobs(first).EndAsync(poison))["errorInfo"]!["code"]);
        await new Jobs(first).QuietAsync();
    }

    [Fact]
    public async Task A_worker_that_is_killed_from_outside_while_two_jobs_share_it_counts_for_neither()
    {
        await using var gateway = await StartAsync(workers: 1);
        var jobs = new Jobs(gateway);
        // Long enough that the kill of a busy machine still meets the run.
        var input = JsonNode.Parse("""{"do":"sleep","ms":3000}""")!;
        var (one, other) = (await jobs.RunAsync(input), await jobs.RunAsync(input));
        // Both are on the worker at the first kill; at the next two one of them is there alone.
        await Eventually.HoldsAsync(() => Begun(one) == 1 && Begun(other) == 1);
        for (var kills = 1; kills <= 3; kills++)
        {
            await Eventually.HoldsAsync(() => Begun(one) == kills);
            await KillAsync(gateway);
        }

        var (lost, beside) = (await jobs.EndAsync(one), await jobs.EndAsync(other));
        Assert.Equal(("COMPLETED", 3), ((string?)lost["status"], lost["attempts"]!.AsArray().Count));
        Assert.Equal("COMPLETED", (string?)beside["status"]);
        await jobs.QuietAsync();
    }

    [Fact]
    public async Task A_job_that_may_run_once_is_not_run_again_whatever_was_on_its_worker()
    {
        await using var gateway = await StartAsync(workers: 1, more: "jobs: { maxRuns: 1 }, forwarding: { maxAttempts: 1 }");
        var jobs = new Jobs(gateway);
        var beside = SendAsync(gateway.Client, "beside", JsonNode.Parse("""{"do":"sleep","ms":60000}""")!);
        await Eventually.HoldsAsync(() => Begun("beside") == 1);
        var job = await jobs.EndAsync(await jobs.RunAsync(Poison));

        Assert.Equal("ATTEMPTS_EXHAUSTED", (string?)job["errorInfo"]!["code"]);
        Assert.Equal(HttpStatusCode.BadGateway, await beside);
        Assert.Equal((1, 1), (Begun((string)job["id"]!), Begun("beside")));
        // A worker that dies does not block its endpoint.
        await jobs.RunSyncAsync(1);
    }

    private async Task<GatewayProcess> StartAsync(int workers, string more = "")
    {
        var gateway = await GatewayProcess.StartAsync(Jobs.Manifest(log, max: workers, scaling: $", min: {workers}", more: more));
        await Eventually.HoldsAsync(async () => (await gateway.WorkersAsync("stub", "ready")).Count == workers);
        return gateway;
    }

    private static async Task<string> KeyAsync(GatewayProcess gateway, string name)
    {
        using var made = await gateway.Client.PostAsJsonAsync("/api/v1/keys", new { name, invoke = new[] { "stub" } });
        return (string)JsonNode.Parse(await made.Content.ReadAsStringAsync())!["key"]!;
    }

    private static async Task<Jobs> JobsOfAsync(GatewayProcess gateway, string name) =>
        new(gateway, client: gateway.ClientFor(await KeyAsync(gateway, name)));

    private static async Task<HttpStatusCode> SendAsync(HttpClient client, string id, JsonNode input)
    {
        using var answer = await client.PostAsync(new Uri("/e/stub/run", UriKind.Relative),
            new StringContent($$"""{"id":"{{id}}","attempt":1,"input":{{input.ToJsonString()}}}"""));
        return answer.StatusCode;
    }

    private static async Task KillAsync(GatewayProcess gateway)
    {
        var victim = Assert.Single(await gateway.WorkersAsync("stub", "ready"));
        ChildProcess.Signal((int)victim["processId"]!, ChildProcess.Sigkill);
    }

    private int Begun(string id) => StubLog.Lines(log).Count(l => l.StartsWith($"begin {id} ", StringComparison.Ordinal));
}
