using System.Text;
using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using Sluice.Gateway.Http;

namespace Sluice.Gateway.Tests.Http;

/// <summary>The error for a body that is not JSON says where, without words of the parser.</summary>
public sealed class JsonBodyTest
{
    [Theory]
    [InlineData("", "The body is empty; expected a JSON object.")]
    [InlineData("{id:1}", "The body is not valid JSON at line 1, byte 2: 'i' is an invalid start of a property name."
        + " Expected a '\"'.")]
    public async Task A_body_that_is_not_json_is_rejected_with_its_position(string body, string says)
    {
        var context = new DefaultHttpContext();
        context.Request.Body = new MemoryStream(Encoding.UTF8.GetBytes(body));
        context.Request.ContentLength = body.Length;
        using var response = new MemoryStream();
        context.Response.Body = response;

        Assert.Null(await JsonBody.ReadAsync(context));

        Assert.Equal(400, context.Response.StatusCode);
        Assert.Equal(says, (string?)JsonNode.Parse(response.ToArray())!["detail"]);
    }
}
