using Microsoft.AspNetCore.Http;
using Sluice.Gateway.UserPods;

namespace Sluice.Gateway.Tests.UserPods;

/// <summary>Tests which requests of a browser may use its cookie.</summary>
public sealed class UserPodRequestFactsTest
{
    private const string Own = "https://pod.example.com";
    private const string Other = "https://other.example.com";

    [Theory]
    // Its own pages, and the address bar.
    [InlineData("GET", "", "same-origin", "cors", true)]
    [InlineData("POST", Own, "same-origin", "cors", true)]
    [InlineData("DELETE", Own, "same-origin", "cors", true)]
    [InlineData("GET", "", "none", "navigate", true)]
    // A link of another page works; its forms, frames, images and scripts do not.
    [InlineData("GET", "", "cross-site", "navigate", true)]
    [InlineData("HEAD", "", "same-site", "navigate", true)]
    [InlineData("POST", "", "cross-site", "navigate", false)]
    [InlineData("POST", Other, "cross-site", "navigate", false)]
    [InlineData("GET", "", "cross-site", "no-cors", false)]
    [InlineData("GET", "", "same-site", "no-cors", false)]
    [InlineData("GET", "", "same-site", "nested-navigate", false)]
    [InlineData("GET", Other, "same-site", "cors", false)]
    [InlineData("PUT", Other, "same-site", "cors", false)]
    // The headers contradict each other.
    [InlineData("POST", Other, "same-origin", "cors", false)]
    [InlineData("POST", "null", "same-origin", "cors", false)]
    [InlineData("GET", "", "unknown", "navigate", false)]
    // Browsers without fetch metadata.
    [InlineData("GET", "", "", "", true)]
    [InlineData("POST", Own, "", "", true)]
    [InlineData("POST", "", "", "", false)]
    [InlineData("POST", Other, "", "", false)]
    [InlineData("POST", "null", "", "", false)]
    [InlineData("GET", Other, "", "", false)]
    public void A_request_may_use_a_cookie_if_a_page_of_the_pod_sends_it(
        string method, string origin, string site, string mode, bool allowed) =>
        Assert.Equal(allowed, new UserPodRequestFacts(method, false, origin, site, mode, "", Own).MayUseCookie());

    [Theory]
    [InlineData(Own, "same-origin", true)]
    [InlineData(Own, "", true)]
    [InlineData("", "", false)]
    [InlineData("", "same-origin", false)]
    [InlineData(Other, "", false)]
    [InlineData(Other, "same-site", false)]
    [InlineData(Own, "same-site", false)]
    [InlineData("null", "cross-site", false)]
    [InlineData("http://pod.example.com", "", false)]
    [InlineData("https://pod.example.com:8443", "", false)]
    public void A_websocket_needs_the_origin_of_the_pod(string origin, string site, bool allowed) =>
        Assert.Equal(allowed, new UserPodRequestFacts("GET", true, origin, site, "websocket", "", Own).MayUseCookie());

    [Fact]
    public void A_frame_of_another_page_may_not_use_a_cookie()
    {
        // A frame navigates, too. Its destination is "iframe".
        var context = new DefaultHttpContext();
        context.Request.Method = "GET";
        context.Request.Host = new HostString("pod.example.com");
        context.Request.Headers["Sec-Fetch-Site"] = "cross-site";
        context.Request.Headers["Sec-Fetch-Mode"] = "navigate";
        context.Request.Headers["Sec-Fetch-Dest"] = "iframe";
        var routing = new UserPodRouting(false, new Uri("https://example.com"));
        Assert.False(UserPodRequestFacts.Read(context.Request, routing).MayUseCookie());
        context.Request.Headers["Sec-Fetch-Dest"] = "document";
        Assert.True(UserPodRequestFacts.Read(context.Request, routing).MayUseCookie());
    }

    [Fact]
    public void The_facts_are_read_from_the_headers()
    {
        var context = new DefaultHttpContext();
        context.Request.Method = "GET";
        context.Request.Host = new HostString("pod.localhost:80");
        context.Request.Headers.Upgrade = "websocket";
        context.Request.Headers.Origin = Other;
        context.Request.Headers["Sec-Fetch-Site"] = "same-site";
        context.Request.Headers["Sec-Fetch-Mode"] = "websocket";
        var facts = UserPodRequestFacts.Read(context.Request, new UserPodRouting(false, null));
        Assert.True(facts.IsUpgrade);
        Assert.Equal((Other, "same-site", "websocket", "http://pod.localhost:80"),
            (facts.Origin, facts.FetchSite, facts.FetchMode, facts.OwnOrigin));
    }
}
