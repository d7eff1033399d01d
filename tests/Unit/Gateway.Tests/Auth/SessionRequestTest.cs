using Microsoft.AspNetCore.Http;
using Sluice.Gateway.Authentication;

namespace Sluice.Gateway.Tests.Auth;

public sealed class SessionRequestTest
{
    private const string Own = "https://gateway.example.com";

    private static readonly SessionRequest Read =
        new("GET", new HostString("gateway.example.com"), false, false, false, false, "", "same-origin", "empty");

    private static readonly SessionRequest Change = Read with { Method = "POST", HasHeader = true, Origin = Own };

    [Fact]
    public void The_own_pages_may_use_a_session()
    {
        Assert.Null(Read.FindObstacle());
        Assert.Null(Change.FindObstacle());
        // Browsers without fetch metadata, and the address bar.
        Assert.Null((Read with { FetchSite = "", FetchDestination = "" }).FindObstacle());
        Assert.Null((Change with { FetchSite = "", FetchDestination = "" }).FindObstacle());
        Assert.Null((Read with { FetchSite = "none", FetchDestination = "document" }).FindObstacle());
        var local = new HostString("localhost", 8080);
        Assert.Null((Change with { Host = local, Origin = "http://localhost:8080" }).FindObstacle());
        Assert.Null((Read with { IsUpgrade = true, Origin = Own, FetchDestination = "websocket" }).FindObstacle());
    }

    [Theory]
    [InlineData("https://evil.example.com")]
    [InlineData("https://pod-8888.gateway.example.com")]
    [InlineData("http://gateway.example.com")]
    [InlineData("https://gateway.example.com:8443")]
    [InlineData("https://gateway.example.com.evil.org")]
    [InlineData("null")]
    public void A_page_of_another_origin_may_not(string origin)
    {
        Assert.StartsWith("Origin is '", (Change with { Origin = origin }).FindObstacle(), StringComparison.Ordinal);
        Assert.StartsWith("Origin is '", (Read with { Origin = origin }).FindObstacle(), StringComparison.Ordinal);
        Assert.StartsWith("Origin is '", (Change with { Origin = origin, FetchSite = "", IsHttps = true })
            .FindObstacle(), StringComparison.Ordinal);
    }

    [Theory]
    [InlineData("cross-site")]
    [InlineData("same-site")]
    [InlineData("unknown")]
    public void A_request_that_another_site_causes_may_not(string site)
    {
        foreach (var method in new[] { "GET", "HEAD", "OPTIONS", "POST", "DELETE" })
            Assert.StartsWith("Sec-Fetch-Site is '",
                (Change with { Method = method, FetchSite = site }).FindObstacle(), StringComparison.Ordinal);
        Assert.NotNull((Change with { FetchSite = "none" }).FindObstacle());
        Assert.NotNull((Read with { FetchSite = "none", IsUpgrade = true, Origin = Own }).FindObstacle());
    }

    [Theory]
    [InlineData("POST")]
    [InlineData("PUT")]
    [InlineData("PATCH")]
    [InlineData("DELETE")]
    [InlineData("post")]
    [InlineData("QUERY")]
    public void A_change_needs_the_header(string method) =>
        Assert.Contains(SessionRequest.Header,
            (Change with { Method = method, HasHeader = false }).FindObstacle()!, StringComparison.Ordinal);

    [Fact]
    public void A_WebSocket_needs_an_origin() =>
        Assert.NotNull((Read with { IsUpgrade = true, FetchDestination = "websocket" }).FindObstacle());

    [Theory]
    [InlineData("document")]
    [InlineData("iframe")]
    [InlineData("script")]
    [InlineData("serviceworker")]
    public void A_response_of_a_worker_is_not_shown_as_a_page(string destination)
    {
        var page = Read with { FetchDestination = destination };
        Assert.Null(page.FindObstacle());
        Assert.NotNull((page with { IsOfWorker = true }).FindObstacle());
        Assert.Null((page with { IsOfWorker = true, FetchDestination = "image" }).FindObstacle());
    }

    [Theory]
    [InlineData("gateway.example.com", "", "same-origin", true)]
    [InlineData("gateway.example.com", "", "", false)]
    [InlineData("gateway.example.com", "https://gateway.example.com", "", true)]
    [InlineData("localhost:8080", "", "same-origin", false)]
    [InlineData("a.localhost:8080", "", "same-origin", false)]
    [InlineData("127.0.0.1:8080", "", "same-origin", false)]
    [InlineData("[::1]:8080", "", "same-origin", false)]
    [InlineData("10.0.0.1:8080", "", "same-origin", true)]
    [InlineData("localhost", "https://localhost", "same-origin", true)]
    public void Browsers_show_whether_they_use_TLS(string host, string origin, string site, bool expected) =>
        Assert.Equal(expected,
            (Read with { Host = new HostString(host), Origin = origin, FetchSite = site }).IsSecure);
}
