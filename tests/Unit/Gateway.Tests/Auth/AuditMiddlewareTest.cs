using System.Text.Json.Nodes;
using Microsoft.AspNetCore.Http;
using Microsoft.Extensions.Logging.Abstractions;
using Sluice.Gateway.Audit;
using Sluice.Gateway.Authentication;
using Sluice.Storage.Audit;
using Sluice.Storage.Keys;
using Sluice.Testing;
using Endpoint = Microsoft.AspNetCore.Http.Endpoint;

namespace Sluice.Gateway.Tests.Auth;

/// <summary>Tests which requests are entries of the audit log.</summary>
public sealed class AuditMiddlewareTest(RedisFixture redis) : IClassFixture<RedisFixture>
{
    private static readonly Caller Admin = new("admin", "", new KeyScope { Admin = true }, KeyLimits.None);

    [Theory]
    [InlineData(200, false, true, false)]
    [InlineData(204, false, true, false)]
    [InlineData(202, false, false, false)]
    [InlineData(409, false, false, false)]
    // Its client left after the change, before the response.
    [InlineData(200, true, true, true)]
    public async Task A_request_that_may_have_changed_something_is_an_entry(
        int status, bool throws, bool isRecorded, bool isUncertain)
    {
        await redis.Store.Database.ExecuteAsync("FLUSHALL");
        var store = new AuditStore(redis.Store);
        var middleware =
            new AuditMiddleware(store, TimeProvider.System, NullLogger<AuditMiddleware>.Instance);
        var context = new DefaultHttpContext();
        context.SetEndpoint(new Endpoint(null, new EndpointMetadataCollection(new Audited("PUT /a")), null));
        context.Features.Set(new AuthenticatedRequest(Admin, null, TimeSpan.Zero, 0));

        var call = middleware.InvokeAsync(context, c =>
        {
            AuditDetails.Set(c, null, new JsonObject { ["a"] = 1 }, "/a");
            c.Response.StatusCode = status;
            return throws ? Task.FromException(new OperationCanceledException()) : Task.CompletedTask;
        });

        if (throws) await Assert.ThrowsAsync<OperationCanceledException>(() => call);
        else await call;
        var entries = await store.ReadChangesAsync(new AuditRange(10), default);
        Assert.Equal(isRecorded ? [("/a", isUncertain)] : [], entries.Select(e => (e.Target, e.IsUncertain)));
    }
}
