using System.Diagnostics;
using Microsoft.AspNetCore.Http;
using Sluice.Gateway.Tracing;

namespace Sluice.Gateway.Tests.Tracing;

public sealed class TraceTextTest
{
    private const string Parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    [Theory]
    [InlineData(Parent, null, Parent)]
    [InlineData(Parent, "a=1,b=2", Parent + " a=1,b=2")]
    [InlineData("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00", null,
        "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00")]
    [InlineData("00-00000000000000000000000000000000-b7ad6b7169203331-01", null, null)]
    [InlineData("not a trace", null, null)]
    [InlineData(null, "a=1", null)]
    // A job stores the text in front of a tab.
    [InlineData(Parent, "a=\t1", Parent)]
    public void The_headers_of_a_client_become_the_text_of_a_job_and_back(
        string? parent, string? state, string? expected)
    {
        IHeaderDictionary headers = new HeaderDictionary();
        if (parent is not null) headers.TraceParent = parent;
        if (state is not null) headers.TraceState = state;
        Assert.Equal(expected is not null, TraceText.TryRead(headers, out var context));
        if (expected is null) return;
        Assert.Equal(expected, TraceText.Format(context));
        Assert.True(TraceText.TryParse(expected, out var again));
        Assert.Equal((context.TraceId, context.SpanId, context.TraceFlags, context.TraceState),
            (again.TraceId, again.SpanId, again.TraceFlags, again.TraceState));
    }

    [Fact]
    public void A_state_that_is_too_long_is_dropped()
    {
        IHeaderDictionary headers = new HeaderDictionary();
        (headers.TraceParent, headers.TraceState) = (Parent, "a=" + new string('x', 511));
        Assert.True(TraceText.TryRead(headers, out var context));
        Assert.Null(context.TraceState);
    }

    [Fact]
    public void A_request_gets_the_headers_of_its_span_and_no_others()
    {
        using var request = new HttpRequestMessage();
        request.Headers.Add("traceparent", "of the client");
        request.Headers.Add("tracestate", "of the client");
        Assert.True(ActivityContext.TryParse(Parent, null, out var context));
        TraceText.Write(request.Headers, context);
        Assert.Equal(Parent, Assert.Single(request.Headers.GetValues("traceparent")));
        Assert.False(request.Headers.Contains("tracestate"));
    }
}
