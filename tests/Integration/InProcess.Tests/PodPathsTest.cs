using System.Text.Json.Nodes;
using Sluice.Testing;

namespace Sluice.InProcess.Tests;

/// <summary>Tests pods that are reached by a path of the gateway.</summary>
public sealed class PodPathsTest : IAsyncLifetime
{
    private readonly PodsGateway pods =
        PodsGateway.With(new Dictionary<string, string?> { ["SLUICE_POD_ROUTING"] = "path" });

    public ValueTask InitializeAsync() => pods.InitializeAsync();

    public ValueTask DisposeAsync() => pods.DisposeAsync();

    [Fact]
    public async Task The_prefix_is_removed_or_kept_and_cookies_stay_below_it()
    {
        var (pod, keeps) = (await pods.RunAsync(), await pods.RunAsync(""","keepPrefix":true """));
        var prefix = $"/pods/{pod}/8888/";
        var view = await pods.Gateway.GetAsync($"/api/v1/pods/{pod}");
        Assert.Equal($"{pods.Gateway.Url.GetLeftPart(UriPartial.Authority)}{prefix}",
            (string?)view["ports"]![0]!["url"]);
        Assert.Equal("/lab/x?y=1", (string?)(await GetAsync(prefix + "lab/x?y=1"))["target"]);
        Assert.Equal($"/pods/{keeps}/8888/lab", (string?)(await GetAsync($"/pods/{keeps}/8888/lab"))["target"]);

        var set = string.Join('&', new[] { "a=1; Path=/", $"b=2; Path={prefix}lab", "c=3" }
            .Select(s => "set=" + Uri.EscapeDataString(s)));
        using (var answer = await SendAsync(HttpMethod.Get, $"{prefix}?{set}&header=Location:/lab"))
        {
            Assert.Equal([$"a=1; Path={prefix}", $"b=2; Path={prefix}lab", $"c=3; Path={prefix}"],
                answer.Headers.GetValues("Set-Cookie"));
            Assert.Equal(prefix + "lab", answer.Headers.GetValues("Location").Single());
        }

        using (var client = new HttpClient(new SocketsHttpHandler { AllowAutoRedirect = false, UseProxy = false })
            { BaseAddress = pods.Gateway.Url })
        using (var answer = await client.GetAsync(new Uri(prefix.TrimEnd('/') + "?a=1", UriKind.Relative)))
            Assert.Equal(prefix + "?a=1", answer.Headers.Location!.OriginalString);
        using (var refused = await SendAsync(HttpMethod.Get, "/pods/other/8888/"))
            Assert.Equal(404, (int)refused.StatusCode);

        var (_, link) = await pods.SendAsync(HttpMethod.Post, $"/api/v1/pods/{pod}/links?path=lab");
        var ticket = new JsonObject { ["ticket"] = ((string)link["url"]!).Split('#')[1] }.ToJsonString();
        using var opened = await SendAsync(HttpMethod.Post, prefix + ".sluice/open", ticket);
        Assert.Equal(prefix + "lab", (string?)JsonNode.Parse(await opened.Content.ReadAsStringAsync())!["location"]);
        var cookie = opened.Headers.GetValues("Set-Cookie").Single();
        Assert.Contains($"; path={prefix};", cookie, StringComparison.Ordinal);
        using var anonymous = pods.Gateway.ClientFor(null);
        anonymous.DefaultRequestHeaders.Add("Cookie", cookie.Split(';')[0]);
        using (var answer = await anonymous.GetAsync(new Uri(prefix, UriKind.Relative)))
            Assert.Equal(200, (int)answer.StatusCode);
        using (var answer = await anonymous.GetAsync(new Uri($"/pods/{keeps}/8888/", UriKind.Relative)))
            Assert.Equal(401, (int)answer.StatusCode);
    }

    private async Task<JsonObject> GetAsync(string path)
    {
        using var answer = await SendAsync(HttpMethod.Get, path);
        return JsonNode.Parse(await answer.Content.ReadAsStringAsync())!.AsObject();
    }

    private async Task<HttpResponseMessage> SendAsync(HttpMethod method, string path, string? body = null)
    {
        using var request = new HttpRequestMessage(method, path);
        if (body is not null)
        {
            request.Content = new StringContent(body);
            request.Headers.Add("Origin", pods.Gateway.Url.GetLeftPart(UriPartial.Authority));
        }

        return await pods.Client.SendAsync(request);
    }
}
