/* Sends GET requests on a schedule, answered or not, and tells when each was due and how long it took from then: a stall
   is charged to every request that it delays. One thread, a hundredth of a core at 2,000 requests/s, so that on a small
   machine it does not measure itself.

   generator HOST RATE:SECONDS[,RATE:SECONDS…] IP:PORT…
   Requests go to the addresses in turn, each on a free connection or a new one. One line for each on stdout:
   "due_s took_ms status"; status 0 is a connection that failed, -1 no answer within 30 s. Last, "late MS": by how much
   it missed its own schedule at worst. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

enum { BUFFER = 16384, EVENTS = 256, TARGETS = 64, ANSWER_S_MAX = 30 };

struct connection {
    int fd, target, connected;
    long request;  /* -1: free */
    size_t got;
    char buffer[BUFFER];
    struct connection *next;  /* of the free ones */
};

static struct sockaddr_in targets[TARGETS];
static struct connection *idle[TARGETS];
static double *due, *took;
static int *status_of;
static long waiting;
static char request_text[1024];
static int request_length, poller;
static struct timespec began;

static double now_s(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (now.tv_sec - began.tv_sec) + (now.tv_nsec - began.tv_nsec) / 1e9;
}

static void answered(struct connection *connection, int status) {
    if (connection->request >= 0) {
        took[connection->request] = (now_s() - due[connection->request]) * 1e3;
        status_of[connection->request] = status;
        connection->request = -1;
        waiting--;
    }
}

static void unlink_idle(struct connection *gone) {
    for (struct connection **at = &idle[gone->target]; *at; at = &(*at)->next)
        if (*at == gone) { *at = gone->next; return; }
}

static void drop(struct connection *connection) {
    if (connection->request < 0) unlink_idle(connection);
    answered(connection, 0);
    close(connection->fd);
    free(connection);
}

static void send_request(struct connection *connection) {
    if (write(connection->fd, request_text, request_length) != request_length) drop(connection);
}

static void begin(long number, int target) {
    struct connection *connection = idle[target];
    waiting++;
    if (connection) {
        idle[target] = connection->next;
        connection->request = number;
        send_request(connection);
        return;
    }
    connection = calloc(1, sizeof *connection);
    connection->fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    connection->target = target;
    connection->request = number;
    int one = 1;
    setsockopt(connection->fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (connection->fd < 0 || (connect(connection->fd, (struct sockaddr *)&targets[target], sizeof *targets) && errno != EINPROGRESS)) {
        drop(connection);
        return;
    }
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = connection};
    epoll_ctl(poller, EPOLL_CTL_ADD, connection->fd, &event);
}

/* Whether the answer in the buffer is whole; only answers with a Content-Length are known here. */
static int is_whole(struct connection *connection) {
    connection->buffer[connection->got] = 0;
    char *end = strstr(connection->buffer, "\r\n\r\n"), *length = strcasestr(connection->buffer, "\r\ncontent-length:");
    return end && (!length || length > end || connection->got >= (size_t)(end + 4 - connection->buffer) + atol(length + 17));
}

static void happen(struct connection *connection, uint32_t events) {
    if (!connection->connected && events & EPOLLOUT && !(events & (EPOLLERR | EPOLLHUP))) {
        connection->connected = 1;
        send_request(connection);
        return;
    }
    for (;;) {
        ssize_t got = read(connection->fd, connection->buffer + connection->got, BUFFER - 1 - connection->got);
        if (got < 0 && errno == EAGAIN) return;
        if (got <= 0) { drop(connection); return; }
        connection->got += got;
        if (connection->request < 0 || !is_whole(connection)) continue;
        answered(connection, atoi(connection->buffer + 9));
        connection->got = 0;
        connection->next = idle[connection->target];
        idle[connection->target] = connection;
    }
}

int main(int argc, char **argv) {
    if (argc < 4) return 2;
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    request_length = snprintf(request_text, sizeof request_text, "GET / HTTP/1.1\r\nHost: %s\r\n\r\n", argv[1]);
    int count = 0;
    for (int i = 3; i < argc && count < TARGETS; i++, count++) {
        char *colon = strrchr(argv[i], ':');
        *colon = 0;
        targets[count].sin_family = AF_INET;
        targets[count].sin_port = htons(atoi(colon + 1));
        inet_pton(AF_INET, argv[i], &targets[count].sin_addr);
    }
    long total = 0;
    double at = 0;
    for (char *step = strtok(argv[2], ","); step; step = strtok(NULL, ",")) {
        double rate = atof(step), seconds = atof(strchr(step, ':') + 1);
        long more = rate * seconds;
        due = realloc(due, (total + more) * sizeof *due);
        for (long i = 0; i < more; i++) due[total++] = at + i / rate;
        at += seconds;
    }
    took = calloc(total, sizeof *took);
    status_of = calloc(total, sizeof *status_of);
    for (long i = 0; i < total; i++) status_of[i] = -1;

    poller = epoll_create1(0);
    int timer = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    struct epoll_event event = {.events = EPOLLIN, .data.ptr = NULL}, events[EVENTS];
    epoll_ctl(poller, EPOLL_CTL_ADD, timer, &event);
    clock_gettime(CLOCK_MONOTONIC, &began);
    double late = 0, end = at + ANSWER_S_MAX;
    for (long number = 0; (number < total || waiting) && now_s() < end;) {
        double now = now_s();
        if (number < total && now - due[number] > late) late = now - due[number];
        for (; number < total && due[number] <= now; number++) begin(number, number % count);
        double next = number < total ? due[number] : now + 0.1;
        int64_t ns = began.tv_nsec + (int64_t)(next * 1e9);
        struct itimerspec alarm = {.it_value = {began.tv_sec + ns / 1000000000, ns % 1000000000}};
        timerfd_settime(timer, TFD_TIMER_ABSTIME, &alarm, NULL);
        int ready = epoll_wait(poller, events, EVENTS, -1);
        for (int i = 0; i < ready; i++) {
            uint64_t ignored;
            if (events[i].data.ptr) happen(events[i].data.ptr, events[i].events);
            else if (read(timer, &ignored, sizeof ignored) < 0) continue;
        }
    }
    for (long i = 0; i < total; i++) printf("%.6f %.4f %d\n", due[i], took[i], status_of[i]);
    printf("late %.3f\n", late * 1e3);
    return 0;
}
